//! Users, groups, roles, rights, realms, second factors, pools.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const ACCESS: Series = Series {
    files: &["00-setup", "09-access", "13-access-more"],
    part: Part::All,
    before: &[576, 582, 583],
    guests: &[(201, &[])],
    history: &[],
    prepare: |_| {},
    etc: &[],
    blanks: &[
        (2218, &["short"]),
        (2222, &["another-of-bob", "not-bobs-secret"]),
    ],
    allowed: Allowed {
        differences: &[
            (
                &[7],
                "the storage local begins without a rule for backups, as an installer leaves it",
            ),
            (
                &[
                    1888, 1889, 1890, 1892, 1893, 1895, 1896, 1897, 1901, 1902, 1903, 1904, 1909,
                    1911, 1912, 1913, 1916, 1917, 1921, 1925, 1926, 1930, 1931, 1933, 1934, 1935,
                    1937, 1938, 1942, 1943, 1944,
                ],
                "realm types not built: ldap, ad, openid, their sync and their logins",
            ),
            (&[1915], "a line of Perl code is not a fact of ours"),
            (
                &[1919, 1923],
                "a realm that demands a second factor is not built, and stored it would seem to \
                 protect; the name of a Perl module is not a fact of ours",
            ),
            (
                &[1939, 1940],
                "a built-in realm stays, there as here; here that is said",
            ),
            (
                &[1884, 1906],
                "the comment of the built-in realm names the product, and ldap is not built",
            ),
            (
                &[2203, 2215, 2216],
                "a user of a realm that there is not could never log in",
            ),
            (
                &[2268, 2269],
                "a user who was not there, or who stays, was not deleted: said in words that \
                 clients take for gone",
            ),
        ],
        not_yet: &[],
    },
};

#[test]
fn access() {
    if is_possible("recorded access") {
        with_bridge(async { ACCESS.replay_values().await });
    }
}
