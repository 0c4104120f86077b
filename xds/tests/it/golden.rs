//! Golden files of what is lowered.
