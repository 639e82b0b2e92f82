//! Editor and screen together, against a plain picture of the line.

use proptest::prelude::*;
use unicode_width::UnicodeWidthChar;

use super::*;
use crate::terminal::editor::{Action, Editor, MAX_LINE};
use crate::terminal::keys::Key;
use crate::terminal::screen::Screen;

const NAME: &str = "alice.dev";

/// Rows of `text` in a window of `columns`, where its `cursor`-th character
/// stands, and whether it ends at the window's edge: drawn cell by cell.
fn picture(text: &[char], cursor: usize, columns: usize) -> (Vec<String>, (usize, usize), bool) {
    let mut rows = vec![String::new()];
    let mut column = 0;
    let mut place = (0, 0);
    let mut edge = false;
    for (index, c) in text.iter().chain(&['.']).enumerate() {
        let width = c.width().unwrap();
        if column + width > columns {
            edge = index == text.len();
            rows.push(String::new());
            column = 0;
        }
        if index == cursor {
            // A full row has no place left, whatever comes next.
            let full = column == columns;
            place = if full {
                (rows.len(), 0)
            } else {
                (rows.len() - 1, column)
            };
        }
        if index < text.len() && width > 0 {
            rows.last_mut().unwrap().push(*c);
        }
        column += width;
    }
    let rows = rows.iter().map(|row| row.trim_end().to_owned()).collect();
    (rows, place, edge)
}

fn assert_shown(vt: &Vt, above: &[String], editor: &Editor, columns: usize) {
    let mut text: Vec<char> = format!("{NAME} > ").chars().collect();
    let cursor = text.len() + editor.cursor();
    text.extend(editor.line());
    let (rows, (row, column), _) = picture(&text, cursor, columns);
    let wanted: Vec<String> = above.iter().cloned().chain(rows).collect();
    assert_eq!(vt.lines(), wanted);
    assert_eq!(vt.cursor(), (above.len() + row, column));
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        8 => prop::sample::select(vec!['a', 'b', ' ', 'é', '漢', '字', '🙂', 'e', '\u{301}'])
            .prop_map(Key::Char),
        4 => prop::sample::select(vec![
            Key::Left, Key::Right, Key::Home, Key::End, Key::WordLeft, Key::WordRight,
        ]),
        2 => prop::sample::select(vec![
            Key::Backspace, Key::Delete, Key::Ctrl('w'), Key::Ctrl('k'), Key::Ctrl('u'),
            Key::Up, Key::Down, Key::Ctrl('p'), Key::Ctrl('n'), Key::Ctrl('x'),
        ]),
    ]
}

proptest! {
    #[test]
    fn the_window_shows_the_line_whatever_is_pressed(
        steps in prop::collection::vec((prop::collection::vec(any_key(), 1..20), 0..4u8), 1..30),
        columns in 6..30u16,
    ) {
        let size = TerminalSize { columns, rows: 2000 };
        let history = ["first".to_owned(), "a much longer second line 漢字漢字".to_owned()];
        let mut screen = Screen::new(&NAME.parse().unwrap(), size);
        let mut editor = Editor::default();
        let mut vt = Vt::new(columns.into(), 2000);
        let mut above = Vec::new();
        let mut out = String::new();
        screen.draw(&editor, &mut out);
        for (keys, then) in steps {
            for key in keys {
                editor.press(key, &history);
            }
            match then {
                0 => {
                    screen.print("print", &editor, &mut out);
                    above.push("print".to_owned());
                }
                1 => {
                    screen.draw(&editor, &mut out);
                    screen.leave(&editor, "", &mut out);
                    let mut text: Vec<char> = format!("{NAME} > ").chars().collect();
                    text.extend(editor.line());
                    let (mut rows, _, edge) = picture(&text, 0, columns.into());
                    if edge {
                        // The free row below is where the next prompt goes.
                        rows.pop();
                    }
                    above.extend(rows);
                    editor.press(Key::Enter, &history);
                    screen.draw(&editor, &mut out);
                }
                _ => screen.draw(&editor, &mut out),
            }
            vt.feed(&out);
            out.clear();
            assert_shown(&vt, &above, &editor, columns.into());
        }
    }
}

#[test]
fn a_line_follows_the_window_when_it_changes() {
    let mut screen = Screen::new(
        &NAME.parse().unwrap(),
        TerminalSize {
            columns: 20,
            rows: 50,
        },
    );
    let mut editor = Editor::default();
    let mut vt = Vt::new(20, 50);
    let mut out = String::new();
    screen.draw(&editor, &mut out);
    screen.print("above", &editor, &mut out);
    for c in "0123456789".repeat(5).chars() {
        editor.press(Key::Char(c), &[]);
    }
    for _ in 0..30 {
        editor.press(Key::Left, &[]);
    }
    screen.draw(&editor, &mut out);
    vt.feed(&out);
    let above = ["above".to_owned()];
    assert_shown(&vt, &above, &editor, 20);
    let mut rows = 4;
    for columns in [11_u16, 40, 70, 13] {
        vt.rewrap(columns.into(), rows);
        let mut out = String::new();
        screen.resize(TerminalSize { columns, rows: 50 }, &editor, &mut out);
        vt.feed(&out);
        assert_shown(&vt, &above, &editor, columns.into());
        rows = vt.lines().len() - 1;
    }
    let mut out = String::new();
    screen.clear(&editor, &mut out);
    let mut fresh = Vt::new(13, 50);
    fresh.feed(&out);
    assert_shown(&fresh, &[], &editor, 13);
}

#[test]
fn lines_are_bounded_and_history_keeps_what_was_being_written() {
    let mut editor = Editor::default();
    for _ in 0..MAX_LINE {
        assert_eq!(editor.press(Key::Char('x'), &[]), Action::None);
    }
    assert_eq!(editor.press(Key::Char('x'), &[]), Action::Bell);
    editor.press(Key::Ctrl('u'), &[]);
    let history = ["one".to_owned(), "two".to_owned()];
    let shown = |editor: &Editor| editor.line().iter().collect::<String>();
    editor.press(Key::Char('w'), &history);
    for (key, wanted) in [
        (Key::Down, "w"),
        (Key::Up, "two"),
        (Key::Up, "one"),
        (Key::Up, "one"),
        (Key::Down, "two"),
        (Key::Down, "w"),
        (Key::Ctrl('p'), "two"),
        (Key::Ctrl('n'), "w"),
    ] {
        editor.press(key, &history);
        assert_eq!(shown(&editor), wanted, "{key:?}");
    }
    // The bound counts bytes of the line as it is now.
    editor.press(Key::Up, &history);
    for _ in 0..MAX_LINE - 3 {
        assert_eq!(editor.press(Key::Char('x'), &[]), Action::None);
    }
    assert_eq!(editor.press(Key::Char('x'), &[]), Action::Bell);
}
