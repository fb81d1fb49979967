//! `--origin-dir`: a folder of the user's own pictures, and no file outside of it.

use crate::app::client::Client;
use crate::app::edge::{Edge, Limits};
use crate::app::origin::folder::Folder;
use crate::app::server::Running;
use crate::harness::{BLUE, KEY, RED, picture, setup};
use axum::body::Bytes;
use axum::http::Method;
use cache_index::canonical::Grouping;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder `pictures` with some pictures in it, beside a private file.
struct Place {
    path: PathBuf,
    running: Running,
    client: Client,
}

impl Place {
    async fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("pictures/summer 2024")).unwrap();
        fs::create_dir_all(path.join("private")).unwrap();
        fs::write(path.join("private/secret.png"), picture(BLUE)).unwrap();
        fs::write(path.join("pictures/a.png"), picture(RED)).unwrap();
        fs::write(path.join("pictures/.hidden.png"), picture(RED)).unwrap();
        fs::write(path.join("pictures/summer 2024/größe.png"), picture(RED)).unwrap();
        fs::write(path.join("pictures/notes.txt"), "no picture").unwrap();
        let folder = Folder::open(&path.join("pictures")).unwrap();
        let edge =
            Edge::new(Arc::new(folder), setup(Grouping::Grouped, Limits::default())).unwrap();
        let running = Running::start(edge).await.unwrap();
        let client = Client::new(running.delivery, running.control);
        Self { path, running, client }
    }

    async fn status(&self, target: &str) -> u16 {
        self.client.get(target).await.unwrap().status.as_u16()
    }

    async fn end(self) {
        self.running.stop().await;
        fs::remove_dir_all(self.path).unwrap();
    }
}

#[tokio::test]
async fn pictures_of_the_folder_are_served_and_change_when_they_are_invalidated() {
    let place = Place::new("served").await;
    assert_eq!(place.client.get("/a.png").await.unwrap().body, picture(RED));
    assert_eq!(place.status("/summer%202024/gr%C3%B6%C3%9Fe.png?w=10").await, 200);
    let facts = place.client.control(Method::GET, "/page.json", &[], Bytes::new()).await.unwrap();
    let facts: Value = serde_json::from_slice(&facts.body).unwrap();
    let expected = json!(["/a.png", "/summer%202024/gr%C3%B6%C3%9Fe.png"]);
    assert_eq!(facts["account"]["pictures"], expected);

    fs::write(place.path.join("pictures/a.png"), picture(BLUE)).unwrap();
    assert_eq!(place.client.get("/a.png").await.unwrap().body, picture(RED));
    let body = r#"{"scope":"original","urls":["/a.png"]}"#;
    assert_eq!(place.client.invalidate(KEY, body).await.unwrap().status.as_u16(), 201);
    assert_eq!(place.client.get("/a.png").await.unwrap().body, picture(BLUE));
    place.end().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_name_with_a_colon_is_a_name_like_any_other() {
    let place = Place::new("colon").await;
    fs::create_dir(place.path.join("pictures/x:y")).unwrap();
    for (file, targets) in [
        ("12:30:05.png", ["/12:30:05.png", "/12%3A30%3A05.png"]),
        ("x:y/C:.png", ["/x:y/C:.png", "/x%3ay/C%3a.png"]),
        ("a.png:b.png", ["/a.png:b.png", "/a.png%3Ab.png"]),
    ] {
        fs::write(place.path.join("pictures").join(file), picture(BLUE)).unwrap();
        for target in targets {
            let answer = place.client.get(target).await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.body), (200, picture(BLUE)), "{target}");
        }
    }
    place.end().await;
}

#[tokio::test]
async fn nothing_outside_of_the_folder_can_be_reached() {
    let place = Place::new("closed").await;
    for (target, expected) in [
        ("/../private/secret.png", 400),
        ("/%2e%2e/private/secret.png", 400),
        ("/..%2Fprivate%2Fsecret.png", 404),
        ("/x%2F..%2F..%2Fprivate%2Fsecret.png", 404),
        ("/..%5Cprivate%5Csecret.png", 404),
        ("/%252e%252e/private/secret.png", 404),
        ("//etc/passwd", 404),
        ("/%2Fetc%2Fpasswd", 404),
        ("/.hidden.png", 404),
        ("/nothing.png", 404),
        ("/a.png/", 404),
        ("/a.png/b.png", 404),
        ("/summer%202024", 404),
        ("/a.png%3Fw=1", 404),
        ("/notes.txt", 502),
        ("/%00", 400),
        ("/gr%F6%DFe.png", 404),
    ] {
        assert_eq!(place.status(target).await, expected, "{target}");
    }
    assert_eq!(place.running.edge.store.len(), 0);
    place.end().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_symbolic_link_leads_only_to_where_the_folder_reaches() {
    use std::os::unix::fs::symlink;
    let place = Place::new("links").await;
    let pictures = place.path.join("pictures");
    symlink("a.png", pictures.join("inside.png")).unwrap();
    symlink("../private/secret.png", pictures.join("outside.png")).unwrap();
    symlink(place.path.join("private"), pictures.join("private")).unwrap();
    symlink("loop.png", pictures.join("loop.png")).unwrap();
    assert_eq!(place.client.get("/inside.png").await.unwrap().body, picture(RED));
    assert_eq!(place.status("/outside.png").await, 404);
    assert_eq!(place.status("/private/secret.png").await, 404);
    assert_eq!(place.status("/loop.png").await, 502);
    place.end().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_named_pipe_is_no_picture_and_blocks_nobody() {
    let place = Place::new("pipe").await;
    let pipe = place.path.join("pictures/pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    assert_eq!(place.status("/pipe.png").await, 404);
    place.end().await;
}
