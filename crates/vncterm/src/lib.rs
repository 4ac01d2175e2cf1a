//! A terminal over VNC: the output of a serial line appears on a text screen, and the keys of a VNC
//! client go to the line. For guests whose display is a serial port.
//!
//! ```text
//!   VNC client ◄── rfb: RFB 3.8, VNC authentication, raw pixels ──► session ◄──► line
//!                  keys: keysyms to bytes                             │
//!                                                         screen: vt100 to rows of pixels
//! ```
//!
//! **Invariants.** A client that does not know the password sees and types nothing. One client a
//! session; a session ends with its client or its line. What a client sends is bounded.

mod font;
mod keys;
mod rfb;
mod screen;
mod session;

pub use font::{GLYPH_HEIGHT, GLYPH_WIDTH, glyph};
pub use rfb::response;
pub use screen::{COLUMNS, ROWS};
pub use session::serve;
