//! The command line as jimeng-relay's operators type it.
//!
//! `jimeng-server` parsed its `key` commands with Go's `flag` package, where `-id` and `--id` are the same flag. So
//! scripts that use one dash keep working.

use std::ffi::OsString;

/// The arguments with Go's single-dash flags of the `key` commands spelt with two dashes; all others as they are.
pub(super) fn normalise(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_none_or(|command| command != "key") {
        return args;
    }
    let mut is_value = false;
    for arg in args.iter_mut().skip(2) {
        if arg == "--" {
            break;
        }
        if is_value {
            is_value = false;
            continue;
        }
        let Some(flag) = arg.to_str().and_then(go_flag) else {
            continue;
        };
        is_value = !flag.contains('=');
        *arg = format!("--{flag}").into();
    }
    args
}

/// The flag without its dashes, and with its value where that follows an equals sign, if jimeng-relay knew it.
fn go_flag(arg: &str) -> Option<&str> {
    let flag = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'))?;
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    GO_FLAGS.contains(&name).then_some(flag)
}

/// Every flag of jimeng-relay's `key` commands (its `cmd/server/main.go`); each takes a value.
const GO_FLAGS: [&str; 4] = ["id", "description", "expires-at", "grace-period"];

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(line: &str) -> String {
        let args = normalise(line.split(' ').map(OsString::from));
        args.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn gos_single_dash_flags_of_the_key_commands_are_accepted() {
        assert_eq!(
            normalised("tollgate key rotate -id key_1 -grace-period=0 --description x"),
            "tollgate key rotate --id key_1 --grace-period=0 --description x"
        );
    }

    #[test]
    fn the_value_of_a_flag_is_not_a_flag() {
        assert_eq!(
            normalised("tollgate key create -description -id -expires-at 2030"),
            "tollgate key create --description -id --expires-at 2030"
        );
    }

    #[test]
    fn other_commands_and_other_flags_are_left_alone() {
        for line in [
            "tollgate audit list -id x",
            "tollgate key list -h",
            "tollgate key create -x",
            "tollgate key create -- -id",
            "tollgate",
        ] {
            assert_eq!(normalised(line), line);
        }
    }
}
