//! The corpus that is kept, and what is made of it, through every body.

mod replay;
