//! That nothing is left out: every documented annotation and reason, and every defect of MetalLB that is known from
//! running it, occurs in a script.

use std::{collections::BTreeSet, path::Path};

use anyhow::Context as _;

/// Documented reasons that a script of the controller cannot show, and why.
const ELSEWHERE: &[(&str, &str)] = &[];

/// The defects of MetalLB that have a letter, and the facts about it that a controller can show.
const DEFECTS: &[&str] = &[
    "2.9 a", "2.9 b", "2.9 c", "2.9 d", "2.9 e", "2.9 f", "2.9 g", "2.9 h", "2.9 i", "2.9 j",
    "2.9 k", "2.9 l", "2.9 m", "0.4", "0.5", "0.6", "0.7", "0.8", "0.10",
];

/// What no script mentions.
pub fn gaps(repository: &Path, scripts: &Path) -> anyhow::Result<Vec<String>> {
    let mut text = String::new();
    collect(scripts, &mut text)?;
    let mut gaps = Vec::new();
    let reasons = std::fs::read_to_string(repository.join("docs/reasons.md"))?;
    for reason in in_first_column(&reasons, &["## Services", "## Pools"]) {
        let elsewhere = ELSEWHERE.iter().any(|(known, _)| *known == reason);
        if !elsewhere && !text.contains(&format!("reason: {reason}")) {
            gaps.push(format!("no script expects the reason {reason}"));
        }
    }
    let readme = std::fs::read_to_string(repository.join("README.md"))?;
    for annotation in in_first_column(&readme, &["## Ask for something special"]) {
        if !text.contains(&format!("{annotation}: ")) {
            gaps.push(format!("no script sets {annotation}"));
        }
    }
    for defect in DEFECTS {
        if !text.contains(&format!("# MetalLB {defect}:")) {
            gaps.push(format!("no script is for MetalLB's {defect}"));
        }
    }
    Ok(gaps)
}

/// The words in backquotes that begin the rows of tables under these headings.
fn in_first_column(text: &str, headings: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("## ") {
            inside = headings.iter().any(|heading| line.starts_with(heading));
        }
        let word = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        if let Some(word) = word.filter(|_| inside) {
            found.insert(word.to_owned());
        }
    }
    found
}

fn collect(folder: &Path, text: &mut String) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, text)?;
        } else if path.extension().is_some_and(|e| e == "yaml") {
            let more = std::fs::read_to_string(&path);
            text.push_str(&more.with_context(|| path.display().to_string())?);
        }
    }
    Ok(())
}
