//! Tables and fields for a terminal: aligned columns, no lines, colour only for what must catch the eye.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Width, presets};

use crate::model::clock::Timestamp;

/// How text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Whether colours are used.
    pub(super) colour: Colour,
    /// The terminal's width in columns, where it is known.
    pub(super) width: Option<u16>,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// None.
    Plain,
    /// The terminal's sixteen, so that its theme applies.
    Ansi,
}

/// What a column holds, which decides how it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A name, an id or a moment: never broken, so that it can be copied.
    Word(&'static str),
    /// A number: to the right.
    Number(&'static str),
    /// Free text: broken into lines where the terminal is narrow.
    Text(&'static str),
}

/// A table of `rows` under `columns`, with a line feed at its end; `none` where there are no rows.
pub(super) fn table(columns: &[Column], rows: Vec<Vec<Cell>>, look: Look, none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let mut table = blank(look);
    table.set_header(columns.iter().map(|column| {
        let (Column::Word(name) | Column::Number(name) | Column::Text(name)) = column;
        Cell::new(name).add_attribute(Attribute::Bold)
    }));
    table.add_rows(rows);
    for (column, set) in columns.iter().zip(table.column_iter_mut()) {
        set.set_padding((0, 2));
        match column {
            Column::Word(_) => drop(set.set_constraint(ColumnConstraint::ContentWidth)),
            Column::Number(_) => {
                set.set_constraint(ColumnConstraint::ContentWidth);
                set.set_cell_alignment(CellAlignment::Right);
            }
            Column::Text(_) => drop(set.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(NARROWEST)))),
        }
    }
    finish(&table)
}

/// Names and values below each other, with a line feed at its end.
pub(super) fn fields(rows: Vec<(&str, Cell)>, look: Look) -> String {
    let mut table = blank(look);
    for (name, value) in rows {
        table.add_row([Cell::new(name).add_attribute(Attribute::Bold), value]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    finish(&table)
}

/// A cell with free text; nothing where there is none.
pub(super) fn text(value: Option<&str>) -> Cell {
    Cell::new(value.unwrap_or("-"))
}

/// A moment to the second, in UTC; what is no moment is shown as it is.
pub(super) fn moment(value: Option<&str>) -> Cell {
    let Some(value) = value else {
        return text(None);
    };
    match value.parse::<Timestamp>() {
        Ok(moment) => Cell::new(Timestamp::from_seconds(moment.as_seconds())),
        Err(_) => Cell::new(value),
    }
}

/// A state, coloured by what it means: good, to be looked at, or bad.
pub(super) fn state(word: &str) -> Cell {
    let cell = Cell::new(word);
    match word {
        "ok" | "active" | "done" | "succeeded" | "intact" | "open" => cell.fg(Color::DarkGreen),
        "warning" | "expiring" | "unknown" | "in_queue" | "generating" | "submitted" | "cooling" | "exhausted"
        | "held" | "paused" | "draining" | "partially_failed" => cell.fg(Color::DarkYellow),
        "problem" | "revoked" | "expired" | "failed" | "rejected" | "not_found" | "broken" | "disabled" | "dead" => {
            cell.fg(Color::DarkRed)
        }
        _ => cell,
    }
}

fn blank(look: Look) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING);
    match look.colour {
        Colour::Plain => table.force_no_tty(),
        Colour::Ansi => table.enforce_styling(),
    };
    if let Some(width) = look.width {
        table
            .set_width(width)
            .set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn finish(table: &comfy_table::Table) -> String {
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// Free text is not squeezed into fewer columns than this; a narrower terminal breaks the lines itself.
const NARROWEST: u16 = 18;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look {
        colour: Colour::Plain,
        width: None,
    };

    fn sample(look: Look) -> String {
        let columns = [Column::Word("NAME"), Column::Number("COUNT"), Column::Text("WHAT")];
        let row = |name: &str, count: u32, what: &str| vec![Cell::new(name), Cell::new(count), Cell::new(what)];
        table(
            &columns,
            vec![row("a", 1000, "short"), row("longer", 2, "a text of several words")],
            look,
            "nothing",
        )
    }

    #[test]
    fn columns_are_aligned_without_lines() {
        assert_eq!(
            sample(PLAIN),
            "NAME    COUNT  WHAT\n\
             a        1000  short\n\
             longer      2  a text of several words\n"
        );
    }

    #[test]
    fn in_a_narrow_terminal_only_free_text_is_broken() {
        let narrow = Look {
            colour: Colour::Plain,
            width: Some(33),
        };
        assert_eq!(
            sample(narrow),
            "NAME    COUNT  WHAT\n\
             a        1000  short\n\
             longer      2  a text of\n\
             \x20              several words\n"
        );
    }

    #[test]
    fn in_a_terminal_that_is_too_narrow_the_table_stays_readable() {
        let too_narrow = Look {
            colour: Colour::Plain,
            width: Some(10),
        };
        assert!(sample(too_narrow).lines().count() <= 4, "{}", sample(too_narrow));
    }

    #[test]
    fn an_empty_table_is_a_sentence() {
        assert_eq!(table(&[], Vec::new(), PLAIN, "no keys yet"), "no keys yet\n");
    }

    #[test]
    fn states_are_coloured_only_where_colours_are_wanted() {
        let coloured = Look {
            colour: Colour::Ansi,
            width: None,
        };
        let print = |look| fields(vec![("status", state("revoked"))], look);
        assert_eq!(print(PLAIN), "status  revoked\n");
        assert!(print(coloured).contains("\u{1b}["), "{:?}", print(coloured));
    }

    #[test]
    fn moments_are_shown_to_the_second() {
        assert_eq!(
            moment(Some("2026-02-24T10:00:00.123456Z")).content(),
            "2026-02-24T10:00:00Z"
        );
        assert_eq!(moment(Some("soon")).content(), "soon");
        assert_eq!(moment(None).content(), "-");
    }
}
