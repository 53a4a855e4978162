//! Listeners: one per port, each to groups of its protocol, a group for one balancer only.

use super::{Answer, Fake, Listener, known, refuse, tag_limit};
use crate::{
    call::{Call, ListenerRead, Reply},
    failure::Failure,
    model::ListenerSpec,
    words::{Id, Wire},
};

impl Fake {
    pub(super) fn listeners(&mut self, call: &Call) -> Answer {
        match call {
            Call::DescribeListeners(id) => {
                let balancer = known(id)?;
                self.balancer(balancer)?;
                let of = self
                    .listeners
                    .iter()
                    .filter(|(_, it)| it.balancer == balancer && self.seen(it.made));
                Ok(Reply::Listeners(
                    of.map(|(arn, it)| ListenerRead {
                        arn: arn.clone(),
                        port: it.port,
                        spec: it.spec.clone(),
                    })
                    .collect(),
                ))
            }
            Call::DescribeListenerCertificates(id) => {
                Ok(Reply::Certificates(self.listener(id)?.certificates.clone()))
            }
            Call::DescribeListenerAttributes(id) => {
                Ok(Reply::Attributes(self.listener(id)?.attributes.clone()))
            }
            Call::CreateListener {
                balancer,
                port,
                spec,
                tags,
            } => {
                let arn = known(balancer)?;
                self.balancer(arn)?;
                if let Some((there, it)) = self
                    .listeners
                    .iter()
                    .find(|(_, it)| it.balancer == arn && it.port == *port)
                {
                    return if it.spec == *spec {
                        Ok(Reply::Made(there.clone()))
                    } else {
                        refuse("DuplicateListener", port.to_string())
                    };
                }
                self.may_lead(arn, spec)?;
                tag_limit(tags)?;
                if self
                    .listeners
                    .values()
                    .filter(|it| it.balancer == arn)
                    .count()
                    >= self.quotas.listeners
                {
                    return refuse("TooManyListeners", "quota");
                }
                let made = format!("{arn}/listener/{}", self.count());
                let listener = Listener {
                    balancer: arn.to_owned(),
                    port: *port,
                    spec: spec.clone(),
                    tags: tags.clone(),
                    attributes: [("tcp.idle_timeout.seconds".to_owned(), "350".to_owned())].into(),
                    certificates: std::collections::BTreeSet::new(),
                    made: self.now,
                };
                self.listeners.insert(made.clone(), listener);
                self.note_use();
                Ok(Reply::Made(made))
            }
            Call::ModifyListener { listener, spec } => {
                let balancer = self.listener(listener)?.balancer.clone();
                self.may_lead(&balancer, spec)?;
                self.listener_mut(listener)?.spec = spec.clone();
                self.note_use();
                Ok(Reply::Done)
            }
            Call::AddCertificate {
                listener,
                certificate,
            } => {
                if !self.certificates.contains(certificate) {
                    return refuse("CertificateNotFound", certificate);
                }
                self.listener_mut(listener)?
                    .certificates
                    .insert(certificate.clone());
                Ok(Reply::Done)
            }
            Call::RemoveCertificate {
                listener,
                certificate,
            } => {
                self.listener_mut(listener)?
                    .certificates
                    .remove(certificate);
                Ok(Reply::Done)
            }
            Call::ModifyListenerAttributes {
                listener,
                attributes,
            } => {
                self.listener_mut(listener)?
                    .attributes
                    .extend(attributes.clone());
                Ok(Reply::Done)
            }
            Call::DeleteListener(id) => {
                self.listener(id)?;
                self.listeners.remove(id.as_str());
                self.note_use();
                Ok(Reply::Done)
            }
            _ => refuse("InvalidAction", call.to_string()),
        }
    }

    /// One that was only just made cannot be changed either.
    fn listener(&self, id: &Id) -> Result<&Listener, Failure> {
        let found = self
            .listeners
            .get(known(id)?)
            .filter(|it| self.seen(it.made));
        found.ok_or_else(|| Failure::new("ListenerNotFound", id.as_str()))
    }

    fn listener_mut(&mut self, id: &Id) -> Result<&mut Listener, Failure> {
        self.listener(id)?;
        self.listeners
            .get_mut(id.as_str())
            .ok_or_else(|| Failure::new("ListenerNotFound", id.as_str()))
    }

    fn may_lead(&self, balancer: &str, spec: &ListenerSpec) -> Result<(), Failure> {
        let arn = known(&spec.group)?;
        let wire = self.group(arn)?.spec.kind.wire;
        let fits = match spec.wire {
            Wire::Tls => matches!(wire, Wire::Tcp | Wire::Tls),
            other => other == wire,
        };
        if !fits {
            return refuse("IncompatibleProtocols", format!("{} to {wire}", spec.wire));
        }
        let elsewhere = |it: &Listener| it.spec.group.as_str() == arn && it.balancer != balancer;
        if self.listeners.values().any(elsewhere) {
            return refuse("TargetGroupAssociationLimit", arn);
        }
        match (&spec.certificate, spec.wire) {
            (Some(certificate), Wire::Tls) if self.certificates.contains(certificate) => Ok(()),
            (_, Wire::Tls) => refuse(
                "CertificateNotFound",
                "a TLS listener needs a certificate that exists",
            ),
            (Some(_), _) => refuse("InvalidConfigurationRequest", "a certificate without TLS"),
            (None, _) => Ok(()),
        }
    }
}
