//! `echo TEXT`: prints its arguments. Ends at once.

use guest::lib::Address;

guest::script!(echo);

fn echo(_our: &Address, arguments: &str) -> String {
    arguments.to_owned()
}
