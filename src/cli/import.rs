//! `herald import`: reads files or the cluster, and prints manifests; with `--check` what they would change.

mod against;
mod gather;

use std::process::ExitCode;

use anyhow::Context as _;
use kube::core::TypeMeta;
use serde_json::{Value, json};

use super::{
    ImportArgs, ImportSource,
    output::{self, Format, Look, Table, plain},
    reading::{Reader, on_stderr},
};
use crate::{
    api::AddressPool,
    import::{self, Import, Note, Source},
};

const NOTES: [&str; 3] = ["OBJECT", "PART", "NOTE"];

pub(super) async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let source = args.source.source();
    let reader = match args.files.is_empty() || args.check {
        true => Some(Reader::connect().await?),
        false => None,
    };
    let documents = match &reader {
        Some(reader) if args.files.is_empty() => {
            reader.patiently(gather::cluster(reader, source)).await?
        }
        _ => gather::files(&args.files)?,
    };
    let found = import::import(source, documents)?;
    let Some(reader) = reader.filter(|_| args.check) else {
        return print(&found, args.output);
    };
    let changes = reader.patiently(against::compare(&reader, found)).await?;
    output::print(&changes, args.output.unwrap_or_default())
}

/// Manifests, for `kubectl apply`; notes beside, so that they are not applied.
fn print(found: &Import, format: Option<Format>) -> anyhow::Result<ExitCode> {
    if format == Some(Format::Json) {
        output::write(&(serde_json::to_string_pretty(found)? + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::write(&manifests(found)?)?;
    if !found.notes.is_empty() {
        on_stderr(&notes(&found.notes, &Look::of_stdout(Format::Wide)));
    }
    Ok(ExitCode::SUCCESS)
}

fn manifests(found: &Import) -> anyhow::Result<String> {
    let pools = found.pools.iter().map(manifest);
    let services = found.services.iter().map(|change| {
        Ok(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "namespace": change.namespace, "name": change.name, "annotations": change.annotations,
            },
        }))
    });
    let mut text = String::new();
    for object in pools.chain(services) {
        let object = serde_saphyr::to_string(&object?).context("cannot write YAML")?;
        text.push_str("---\n");
        text.push_str(&object);
    }
    Ok(text)
}

/// A pool as a user writes it: what is as always is left out.
fn manifest(pool: &AddressPool) -> anyhow::Result<Value> {
    let types = TypeMeta::resource::<AddressPool>();
    Ok(json!({
        "apiVersion": types.api_version, "kind": types.kind,
        "metadata": { "name": pool.metadata.name }, "spec": said(pool)?,
    }))
}

/// What a pool says beyond the defaults.
fn said(pool: &AddressPool) -> anyhow::Result<Value> {
    let full = serde_json::to_value(&pool.spec)?;
    let default =
        serde_json::from_value::<crate::api::AddressPoolSpec>(json!({ "addresses": [] }))?;
    let default = serde_json::to_value(default)?;
    let fields = full.as_object().into_iter().flatten();
    let said = fields.filter(|(key, value)| default.get(key.as_str()) != Some(*value));
    Ok(said
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect())
}

fn notes(notes: &[Note], look: &Look) -> String {
    let mut table = Table::new(&NOTES);
    for note in notes {
        table.row(vec![
            plain(&note.object),
            plain(&note.part),
            plain(&note.message),
        ]);
    }
    table.text(look)
}

impl ImportSource {
    const fn source(self) -> Source {
        match self {
            Self::Metallb => Source::Metallb,
            Self::KubeVip => Source::KubeVip,
            Self::Purelb => Source::Purelb,
            Self::Cilium => Source::Cilium,
        }
    }
}
