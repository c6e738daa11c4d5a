//! How much room a disk has.

use std::path::Path;

/// Room that is left for what must be written in any case: logs, above all.
const RESERVE_BYTES: u64 = 64 << 20;
/// On a small disk, the part of it.
const RESERVE_PART: u64 = 16;

/// Whether only the reserve is left where this folder is. What a system does not tell is taken for plenty.
pub fn is_nearly_full(folder: &Path) -> bool {
    fs4::statvfs(folder).is_ok_and(|disk| disk.available_space() < RESERVE_BYTES.min(disk.total_space() / RESERVE_PART))
}
