//! The index, fed from a store and a status board.
