use super::*;
use crate::config::ROUTES;

#[test]
fn every_path_is_listed() {
    let listed: Vec<&str> = PATHS.iter().map(|(path, _)| *path).collect();
    let listed = listed.join(" ");
    for (path, route) in ROUTES {
        let is_itself = route == Route::Index;
        assert!(is_itself || listed.contains(path), "{path} is not listed");
    }
}
