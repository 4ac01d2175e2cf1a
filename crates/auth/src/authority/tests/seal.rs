//! A sealed text is opened by agents of its own cluster only.

use super::*;

#[tokio::test]
async fn only_what_was_sealed_here_is_opened() {
    let here = bench().await.authority;
    let sealed = here.seal("$5$salt$hash").await.unwrap();
    assert!(sealed.starts_with("sealed:1:") && !sealed.contains("salt"));
    assert_ne!(here.seal("$5$salt$hash").await.unwrap(), sealed);
    assert_eq!(here.unseal(&sealed).await.unwrap(), "$5$salt$hash");
    assert_eq!(here.unseal("never sealed").await.unwrap(), "never sealed");
    assert!(bench().await.authority.unseal(&sealed).await.is_err());
    let middle = sealed.len() - 6;
    let mut changed = sealed.clone();
    changed.replace_range(
        middle..=middle,
        if &sealed[middle..=middle] == "A" {
            "B"
        } else {
            "A"
        },
    );
    assert!(here.unseal(&changed).await.is_err());
    assert!(here.unseal("sealed:1:AAAA").await.is_err());
}
