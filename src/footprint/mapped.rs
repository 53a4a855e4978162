//! Parts of the program's file that can be taken out of memory: the kernel reads them again where they are needed.

use std::ops::Range;

/// Reads `/proc/self/smaps`: mappings of files that nobody can write to and of which no page was ever written, as the
/// dynamic linker does with tables of addresses before it protects them. From a mapping that the kernel describes in
/// other words nothing is taken.
pub(super) fn clean(smaps: &str) -> Vec<Range<usize>> {
    let mut clean = Vec::new();
    let mut lines = smaps.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(range) = file_that_is_only_read(line) else {
            continue;
        };
        let mut never_written = [false; 2];
        while let Some(fact) = lines.next_if(|line| is_fact(line)) {
            let mut words = fact.split_whitespace();
            match (words.next(), words.next()) {
                (Some("Anonymous:"), Some("0")) => never_written[0] = true,
                (Some("Swap:"), Some("0")) => never_written[1] = true,
                _ => {}
            }
        }
        if never_written == [true; 2] {
            clean.push(range);
        }
    }
    clean
}

/// `55d0-55d8 r-xp 00000000 fe:01 1234 /herald`.
fn file_that_is_only_read(line: &str) -> Option<Range<usize>> {
    let mut words = line.split_whitespace();
    let (range, permissions) = (words.next()?, words.next()?);
    let (inode, path) = (words.nth(2)?, words.next()?);
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let fits = ["r-xp", "r--p"].contains(&permissions) && inode != "0" && path.starts_with('/');
    (fits && start < end).then_some(start..end)
}

fn is_fact(line: &str) -> bool {
    let name = line.split_whitespace().next().unwrap_or_default();
    name.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_is_taken() {
        let facts = |anonymous: u32, swap: u32| {
            format!("Size: 4 kB\nAnonymous:  {anonymous} kB\nSwap: {swap} kB\nVmFlags: rd ex mr\n")
        };
        let smaps = [
            (
                "1000-2000 r--p 00000000 fe:01 77 /usr/bin/herald",
                facts(0, 0),
            ),
            (
                "2000-5000 r-xp 00001000 fe:01 77 /usr/bin/herald",
                facts(0, 0),
            ),
            (
                "5000-6000 r--p 00004000 fe:01 77 /usr/bin/herald",
                facts(4, 0),
            ),
            (
                "6000-7000 r--p 00005000 fe:01 77 /usr/bin/herald",
                facts(0, 4),
            ),
            (
                "7000-8000 rw-p 00006000 fe:01 77 /usr/bin/herald",
                facts(0, 0),
            ),
            ("8000-9000 rw-p 00000000 00:00 0 [heap]", facts(0, 0)),
            ("9000-a000 r--p 00000000 00:00 0 ", facts(0, 0)),
            ("a000-b000 r-xp 00000000 00:00 0 [vdso]", facts(0, 0)),
            ("b000-c000 r--s 00000000 fe:01 78 /shared", facts(0, 0)),
            (
                "c000-d000 r--p 00000000 fe:01 79 /unknown",
                "Size: 4 kB\n".to_owned(),
            ),
        ]
        .map(|(line, facts)| format!("{line}\n{facts}"))
        .concat();
        assert_eq!(clean(&smaps), [0x1000..0x2000, 0x2000..0x5000]);
    }
}
