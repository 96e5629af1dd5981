//! The reasoning for people: short lines, aligned.
