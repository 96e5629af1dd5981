//! Who gets which lane. Pure: no clock, no chance, no input or output.
