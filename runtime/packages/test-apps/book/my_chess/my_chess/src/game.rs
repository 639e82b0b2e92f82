//! One game: who plays, what the board is, and which moves are allowed.

use pleco::Board;
use serde::{Deserialize, Serialize};

/// A game, in the form that pages are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Game {
    /// The node it is played with.
    pub id: String,
    /// Moves made.
    pub turns: u64,
    /// Forsyth-Edwards notation.
    pub board: String,
    /// The node that plays white.
    pub white: String,
    /// The node that plays black.
    pub black: String,
    /// By mate, stalemate or resignation.
    pub ended: bool,
}

/// Why a move is not made.
#[derive(Debug)]
pub enum Refusal {
    NotTheirTurn,
    Over,
    Illegal,
}

impl Game {
    /// The game with `id` before its first move.
    pub fn new(id: &str, white: &str, black: &str) -> Self {
        Self {
            id: id.to_owned(),
            turns: 0,
            board: Board::start_pos().fen(),
            white: white.to_owned(),
            black: black.to_owned(),
            ended: false,
        }
    }

    /// Makes a move of `player`, such as `e2e4` or `e7e8q`.
    pub fn play(&mut self, player: &str, move_str: &str) -> Result<(), Refusal> {
        let turn = if self.turns.is_multiple_of(2) {
            &self.white
        } else {
            &self.black
        };
        if self.ended {
            return Err(Refusal::Over);
        }
        if turn != player {
            return Err(Refusal::NotTheirTurn);
        }
        let Ok(mut board) = Board::from_fen(&self.board) else {
            return Err(Refusal::Over);
        };
        if !is_move(move_str) || !board.apply_uci_move(move_str) {
            return Err(Refusal::Illegal);
        }
        self.turns += 1;
        self.ended = board.checkmate() || board.stalemate();
        self.board = board.fen();
        Ok(())
    }
}

/// Whether this is the notation of a move, legal or not.
fn is_move(text: &str) -> bool {
    let is_square =
        |file: u8, rank: u8| (b'a'..=b'h').contains(&file) && (b'1'..=b'8').contains(&rank);
    match *text.as_bytes() {
        [a, b, c, d] => is_square(a, b) && is_square(c, d),
        [a, b, c, d, piece] => is_square(a, b) && is_square(c, d) && b"qrbn".contains(&piece),
        _ => false,
    }
}
