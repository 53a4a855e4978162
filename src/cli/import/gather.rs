//! Where the documents come from.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::Value;

use crate::{
    cli::reading::{Reader, Unanswered},
    import::{Resource, Source},
};

/// All documents of files, of the YAML and JSON files of folders, and of standard input.
pub(super) fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<Value>> {
    let mut documents = Vec::new();
    for path in paths {
        for (name, text) in texts(path)? {
            let read: Vec<Value> =
                serde_saphyr::from_multiple(&text).with_context(|| format!("{name} is no YAML"))?;
            documents.extend(read);
        }
    }
    Ok(documents)
}

fn texts(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let name = path.display().to_string();
    if name == "-" {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(vec![("standard input".to_owned(), text)]);
    }
    let read = |path: &Path| {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        Ok((name, text))
    };
    if !path.is_dir() {
        return Ok(vec![read(path)?]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {name}"))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("cannot read {name}"))?;
    paths.retain(|path| {
        let end = path.extension().and_then(|end| end.to_str());
        end.is_some_and(|end| ["yaml", "yml", "json"].contains(&end))
    });
    paths.sort();
    if paths.is_empty() {
        bail!("{name} has no file that ends with .yaml, .yml or .json");
    }
    paths.iter().map(|path| read(path)).collect()
}

/// What a cluster has of the source, and all Services.
pub(super) async fn cluster(reader: &Reader, source: Source) -> anyhow::Result<Vec<Value>> {
    let mut documents = Vec::new();
    for resource in source.resources() {
        documents.extend(all(reader, resource).await?);
    }
    let services: Api<Service> = Api::all(reader.client());
    for service in reader.list(&services, ListParams::default()).await? {
        let mut service = serde_json::to_value(service)?;
        // What comes in a list does not say what it is.
        if let Some(object) = service.as_object_mut() {
            object.insert("apiVersion".to_owned(), "v1".into());
            object.insert("kind".to_owned(), "Service".into());
        }
        documents.push(service);
    }
    Ok(documents)
}

/// All of a resource, in the newest version that the cluster serves.
async fn all(reader: &Reader, resource: &Resource) -> anyhow::Result<Vec<Value>> {
    for version in resource.versions {
        let kind = GroupVersionKind::gvk(resource.group, version, resource.kind);
        let kind = ApiResource::from_gvk_with_plural(&kind, resource.plural);
        let api: Api<DynamicObject> = Api::all_with(reader.client(), &kind);
        let mut params = ListParams::default();
        if let Some(name) = resource.name {
            params = params.fields(&format!("metadata.name={name}"));
        }
        match reader.try_list(&api, params).await {
            Ok(found) => {
                let documents = found.into_iter().map(|mut object| {
                    object.types = Some(kube::core::TypeMeta {
                        api_version: kind.api_version.clone(),
                        kind: kind.kind.clone(),
                    });
                    serde_json::to_value(object)
                });
                return Ok(documents.collect::<Result<_, _>>()?);
            }
            // The cluster has no such resource, or not in this version.
            Err(Unanswered::Refused(kube::Error::Api(status))) if status.code == 404 => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", resource.plural));
            }
        }
    }
    Ok(Vec::new())
}
