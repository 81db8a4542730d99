//! The `.env` file.

use super::mistake::Mistake;
use super::vars::{MapVars, Vars};

/// Reads the text of a `.env` file: the variables, and a mistake for each line that cannot be used.
///
/// A value is the raw text to the end of the line, without spaces around it and without one pair of outer quotes.
/// Nothing is expanded or unescaped and a `#` inside a value belongs to it, because jimeng-relay reads its file so.
/// A line may begin with `export `; empty lines and lines that begin with `#` are skipped. A name that is set twice to
/// different values is a mistake: jimeng-relay took the first, the other replaced systems the last.
#[must_use]
pub fn read_dotenv(text: &str) -> (MapVars, Vec<Mistake>) {
    let mut vars = MapVars::default();
    let mut mistakes = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = assignment(line) else {
            mistakes.push(Mistake {
                variable: format!(".env line {}", index + 1),
                problem: "is not of the form NAME=value".to_owned(),
                fix: "correct the line, or begin it with # to make it a comment".to_owned(),
            });
            continue;
        };
        if vars.get(name).is_some_and(|earlier| earlier != value) {
            mistakes.push(Mistake {
                variable: name.to_owned(),
                problem: format!("is set again, to another value, on line {} of .env", index + 1),
                fix: "keep one of the lines".to_owned(),
            });
        }
        vars.set(name, value);
    }
    (vars, mistakes)
}

/// The name and value of a line, or `None` where the line assigns nothing.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (plain && !name.is_empty()).then(|| (name, unquote(value.trim())))
}

/// The text without one pair of outer quotes, single or double.
fn unquote(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> String {
        let (vars, mistakes) = read_dotenv(line);
        assert_eq!(mistakes, []);
        vars.get("NAME").unwrap()
    }

    #[test]
    fn a_value_is_the_raw_text_to_the_end_of_the_line() {
        assert_eq!(value("NAME=a b=c #d $HOME \\n"), "a b=c #d $HOME \\n");
        assert_eq!(value("  NAME = padded \r\n"), "padded");
        assert_eq!(value("NAME="), "");
    }

    #[test]
    fn one_pair_of_outer_quotes_is_stripped() {
        assert_eq!(value(r#"NAME="two words""#), "two words");
        assert_eq!(value("NAME='\"kept\"'"), "\"kept\"");
        assert_eq!(value("NAME=\""), "\"");
        assert_eq!(value("NAME=\"unbalanced'"), "\"unbalanced'");
    }

    #[test]
    fn export_and_a_byte_order_mark_are_tolerated() {
        assert_eq!(value("\u{feff}# comment\n\nexport NAME=value"), "value");
    }

    #[test]
    fn a_line_that_assigns_nothing_is_a_mistake_that_names_it() {
        let (_, mistakes) = read_dotenv("A=1\nPORT 8080\n=x\nTWO WORDS=1");
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.variable.as_str()).collect();
        assert_eq!(lines, [".env line 2", ".env line 3", ".env line 4"]);
    }

    #[test]
    fn a_name_set_twice_to_different_values_is_a_mistake() {
        let (_, mistakes) = read_dotenv("PORT=1\nPORT=1\nPORT=2");
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].to_string().contains("line 3"), "{}", mistakes[0]);
    }
}
