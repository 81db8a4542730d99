//! The judge of the image classifier. The fuzz target shares this file.

use std::net::IpAddr;

use super::Image;

/// Checks that what is taken for an image reads again as itself, and that no accepted URL could lead elsewhere.
///
/// # Panics
/// If it does not.
pub(crate) fn judge(text: &str) {
    let Ok(image) = text.parse::<Image>() else {
        return;
    };
    let rendered = image.to_string();
    let again = rendered.parse::<Image>();
    assert_eq!(
        again.as_ref().map(ToString::to_string),
        Ok(rendered.clone()),
        "{text:?}"
    );
    assert_eq!(again.as_ref(), Ok(&image), "{text:?}");
    if let Some(media_type) = image.media_type() {
        assert!(rendered.starts_with(&format!("data:{media_type};base64,")), "{text:?}");
        return;
    }
    // By std's own reading: one plain host, which is no address of anybody's own network.
    let authority = rendered.split('/').nth(2).unwrap_or_default();
    let authority = authority.split(['?', '#']).next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    assert!(!authority.is_empty() && authority.chars().all(plain), "{text:?}");
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let host = if port.ends_with(']') { authority } else { host };
    let bare = host.trim_start_matches('[').trim_end_matches([']', '.']);
    assert!(
        bare.contains(['.', ':']) && !bare.to_ascii_lowercase().ends_with(".localhost"),
        "{text:?}"
    );
    let inside = match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(v4)) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast()
        }
        Ok(IpAddr::V6(v6)) => {
            let local = v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local();
            local || v6.is_unspecified() || v6.is_multicast()
        }
        Err(_) => bare
            .rsplit('.')
            .next()
            .is_some_and(|label| label.starts_with(|c: char| c.is_ascii_digit())),
    };
    assert!(!inside, "{text:?}");
}
