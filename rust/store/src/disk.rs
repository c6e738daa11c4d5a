//! Free room on a disk.

use std::path::Path;

/// Reserve for files that must be written in any case, above all logs.
const RESERVE_BYTES: u64 = 64 << 20;
/// On a small disk the reserve is one of this many parts of it.
const RESERVE_PART: u64 = 16;

/// True if only the reserve is left on the disk that holds this folder. False where the system
/// gives no information.
pub fn is_nearly_full(folder: &Path) -> bool {
    fs4::statvfs(folder).is_ok_and(|disk| disk.available_space() < RESERVE_BYTES.min(disk.total_space() / RESERVE_PART))
}
