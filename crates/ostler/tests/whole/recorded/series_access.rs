//! Users, groups, roles, rights, realms, second factors, pools.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const ACCESS: Series = Series {
    files: &["00-setup", "09-access", "13-access-more"],
    part: Part::All,
    before: &[576, 582, 583],
    guests: &[(201, &[])],
    blanks: &[
        (2218, &["short"]),
        (2222, &["another-of-bob", "not-bobs-secret"]),
    ],
    allowed: Allowed {
        differences: &[],
        not_yet: &[
            7, 1887, 1888, 1889, 1890, 1892, 1893, 1895, 1896, 1897, 1901, 1902, 1903, 1904, 1909,
            1910, 1911, 1912, 1913, 1915, 1916, 1917, 1919, 1920, 1921, 1923, 1924, 1925, 1926,
            1930, 1931, 1933, 1934, 1935, 1937, 1938, 1939, 1940, 1941, 1942, 1943, 1944, 1950,
            1953, 1955, 1956, 1958, 1960, 1961, 1962, 1964, 1965, 1970, 1971, 1973, 1979, 1990,
            2000, 2001, 2002, 2006, 2203, 2205, 2212, 2221, 2222, 2231, 2234, 2242, 2245, 2257,
            2268, 2269,
        ],
    },
};

#[test]
fn access() {
    if is_possible("recorded access") {
        with_bridge(async { ACCESS.replay().await });
    }
}
