//! Where the days of the log book are exported to.

use super::aws::Aws;
use super::reader::Reader;
use super::value::{self, Wrong};
use crate::model::export::Format;
use crate::model::object_url::ObjectUrl;

/// Where the days of the log book are exported to, each once it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditExport {
    /// `AUDIT_EXPORT_URL`: a folder, or a prefix in a bucket.
    pub url: ObjectUrl,
    /// `AUDIT_EXPORT_FORMAT`: at least one, none twice.
    pub formats: Vec<Format>,
}

impl AuditExport {
    pub(super) fn read(reader: &mut Reader<'_>, aws: &Aws) -> Option<Self> {
        let url = aws.place(reader, "AUDIT_EXPORT_URL", "/data/audit");
        let formats = reader.value("AUDIT_EXPORT_FORMAT", formats);
        Some(Self {
            url: url?,
            formats: formats.unwrap_or_else(|| vec![Format::Parquet]),
        })
    }
}

fn formats(text: &str) -> Result<Vec<Format>, Wrong> {
    let mut formats = Vec::new();
    for name in value::list(text)? {
        let format = name
            .parse()
            .map_err(|_| Wrong::new("names something that is no format", "set parquet, ndjson, or both"))?;
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    Ok(formats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MapVars;

    fn read(vars: &MapVars) -> (Option<AuditExport>, usize) {
        let mut reader = Reader::new(vars);
        let aws = Aws::read(&mut reader);
        let read = AuditExport::read(&mut reader, &aws);
        (read, reader.mistakes.len())
    }

    #[test]
    fn days_are_exported_as_parquet_unless_told() {
        let vars = MapVars::default().with("AUDIT_EXPORT_URL", "/data/audit");
        let export = read(&vars).0.unwrap();
        assert_eq!(export.formats, [Format::Parquet]);
        assert_eq!(export.url.to_string(), "/data/audit");
        let both = vars.with("AUDIT_EXPORT_FORMAT", "ndjson, parquet, ndjson");
        assert_eq!(read(&both).0.unwrap().formats, [Format::Ndjson, Format::Parquet]);
    }

    #[test]
    fn a_bucket_needs_credentials() {
        let vars = MapVars::default().with("AUDIT_EXPORT_URL", "s3://bucket/audit");
        assert_eq!(read(&vars).1, 1);
        let vars = vars.with("AWS_ACCESS_KEY_ID", "id").with("AWS_SECRET_ACCESS_KEY", "x");
        let (export, mistakes) = read(&vars);
        assert_eq!(
            (export.unwrap().url.to_string(), mistakes),
            ("s3://bucket/audit".to_owned(), 0)
        );
    }

    #[test]
    fn nothing_is_exported_without_a_place() {
        assert_eq!(read(&MapVars::default()), (None, 0));
        let vars = MapVars::default().with("AUDIT_EXPORT_FORMAT", "parquet");
        assert_eq!(read(&vars), (None, 0));
    }

    #[test]
    fn what_is_no_place_or_no_format_is_a_mistake() {
        for (name, text) in [("AUDIT_EXPORT_URL", "https://host/x"), ("AUDIT_EXPORT_FORMAT", "csv")] {
            let vars = MapVars::default()
                .with("AUDIT_EXPORT_URL", "/data/audit")
                .with(name, text);
            assert_eq!(read(&vars).1, 1, "{name}={text}");
        }
    }
}
