//! Chat completions beside `CVProcess`: reading a model and a usage, and choosing an account, must cost little more.

use super::line::{self, Line};
use super::load::{Call, Target};
use super::relay::{OnDisk, Relay};
use super::table::{Bound, Table};
use super::upstream::Upstream;
use super::{Plan, Result};

pub(crate) async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let upstream = Upstream::start_canned()?;
    let store = OnDisk::make(async |_| Ok(())).await?;
    let relay = Relay::start(&store, upstream.address).await?;
    let direct = Target::new(upstream.address, "none")?;
    let mut lines = [
        Line::new("CVProcess, the upstream itself", direct.clone(), None),
        Line::new("chat, the upstream itself", direct.asked(Call::Chat), None),
        Line::new(PROCESS, relay.target.clone(), Some(&relay.process)),
        Line::new(CHAT, relay.target.clone().asked(Call::Chat), Some(&relay.process)),
    ];
    line::measure(&mut lines, CONNECTIONS, plan).await?;
    table.section(&format!("{CONNECTIONS} connections, chat completions beside CVProcess"));
    for line in &lines {
        line.note(table);
    }
    let [.., process, chat] = &lines;
    table.line(
        "requests/s of chat over CVProcess, log book on",
        chat.over(process),
        "",
        Bound::AtLeast(0.9),
    );
    Ok(())
}

const CONNECTIONS: usize = 32;
const PROCESS: &str = "CVProcess, Tollgate with its log book on";
const CHAT: &str = "chat, Tollgate with its log book on";
