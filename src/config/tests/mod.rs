//! What a configuration is refused for, and what loads.
