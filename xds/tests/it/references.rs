//! The check of a set: each kind of dangling name is found.
