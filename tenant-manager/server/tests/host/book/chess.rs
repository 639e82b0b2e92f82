//! Chess between two nodes: at their terminals, over HTTP, and on two pages in
//! two browsers.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::browser::chromium::{Chromium, Look};
use super::super::support::{Host, Visitor, eventually, json as body_of};
use super::{Node, PATIENCE};

const CHESS: &str = "my_chess:my_chess:template.os";
const PACKAGE: &str = "my_chess:template.os";
const BEGINNING: &str = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1";

async fn both_play(host: &Host) -> (Node, Node) {
    let (alice, bob) = super::two_nodes(host).await;
    for node in [&alice, &bob] {
        node.install(PACKAGE).await;
        node.has_begun(CHESS).await;
    }
    (alice, bob)
}

/// A player at the API of its own node.
struct Player<'a> {
    host: &'a Host,
    owner: Visitor,
}

impl<'a> Player<'a> {
    async fn of(host: &'a Host, node: &Node) -> Self {
        Self {
            host,
            owner: Visitor::owner(host, &node.api, node.label).await,
        }
    }

    async fn send(&self, method: Method, query: &str, body: &Value) -> Result<Value, StatusCode> {
        let path = format!("/{CHESS}/games{query}");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let sent = self.owner.send(self.host, method, &path, &body, &[]);
        let answer = sent.await;
        match answer.status() {
            StatusCode::OK => Ok(body_of(answer).await),
            status => Err(status),
        }
    }

    async fn games(&self) -> Value {
        self.send(Method::GET, "", &Value::Null).await.unwrap()
    }

    async fn begin(&self, body: Value) -> Result<Value, StatusCode> {
        self.send(Method::POST, "", &body).await
    }

    async fn play(&self, with: &str, played: &str) -> Result<Value, StatusCode> {
        let body = json!({"id": with, "move": played});
        self.send(Method::PUT, "", &body).await
    }

    async fn resign(&self, with: &str) -> Result<Value, StatusCode> {
        let query = format!("?id={with}");
        self.send(Method::DELETE, &query, &Value::Null).await
    }
}

#[tokio::test]
async fn a_game_is_played_at_two_terminals() {
    let host = Host::start();
    let (alice, bob) = both_play(&host).await;
    let act = |node: &Node, body: Value| node.run(&format!("m our@{CHESS} -a 10 '{body}'"));
    let play = |node: &Node, with: &str, played: &str| {
        act(node, json!({"Move": {"game_id": with, "move_str": played}}))
    };
    let new = json!({"NewGame": {"white": "alice.dev", "black": "bob.dev"}});
    let begun = act(&alice, new.clone());
    assert!(begun.ends_with(r#""NewGameAccepted""#), "{begun}");
    bob.printed("alice.dev begins a game").await;
    let again = act(&bob, new);
    assert!(again.ends_with(r#""NewGameRejected""#), "{again}");
    for (node, with, played, answer) in [
        (&bob, "alice.dev", "e7e5", "MoveRejected"),
        (&alice, "bob.dev", "e2e5", "MoveRejected"),
        (&alice, "bob.dev", "e2e4", "MoveAccepted"),
        (&alice, "bob.dev", "d2d4", "MoveRejected"),
        (&bob, "alice.dev", "e7e5", "MoveAccepted"),
        (&alice, "carol.dev", "e2e4", "MoveRejected"),
        (&alice, "bob.dev", "castle", "MoveRejected"),
    ] {
        let told = play(node, with, played);
        assert!(told.ends_with(&format!("{answer:?}")), "{played}: {told}");
    }
    alice.printed("bob.dev plays e7e5").await;
    // Nobody moves for others, on whichever node.
    let line = json!({"Move": {"game_id": "bob.dev", "move_str": "g1f3"}});
    let told = bob.run(&format!("m alice.dev@{CHESS} -a 10 '{line}'"));
    assert!(told.ends_with(r#""MoveRejected""#), "{told}");
    let line = json!({"NewGame": {"white": "carol.dev", "black": "bob.dev"}});
    let told = bob.run(&format!("m alice.dev@{CHESS} -a 10 '{line}'"));
    assert!(told.ends_with(r#""NewGameRejected""#), "{told}");
    // Nobody is asked to agree to that.
    let resign = json!({"Resign": "alice.dev"});
    bob.run(&format!("m our@{CHESS} '{resign}'"));
    alice.printed("bob.dev resigns").await;
    let over = play(&alice, "bob.dev", "g1f3");
    assert!(over.ends_with(r#""MoveRejected""#), "{over}");
}

#[tokio::test]
async fn the_api_of_the_page_says_what_is_wrong() {
    let host = Host::start();
    let (alice, bob) = both_play(&host).await;
    let (one, two) = (
        Player::of(&host, &alice).await,
        Player::of(&host, &bob).await,
    );
    assert_eq!(one.games().await, json!({}));
    let begun = one.begin(json!({"id": "bob.dev"})).await.unwrap();
    let game = |id: &str| {
        json!({"id": id, "turns": 0, "board": BEGINNING, "white": "alice.dev",
            "black": "bob.dev", "ended": false})
    };
    assert_eq!(begun, game("bob.dev"));
    assert_eq!(two.games().await, json!({"alice.dev": game("alice.dev")}));
    for (body, status) in [
        (json!({"id": "bob.dev"}), StatusCode::CONFLICT),
        (json!({"id": "carol.dev"}), StatusCode::SERVICE_UNAVAILABLE),
        (json!({"id": "alice.dev"}), StatusCode::BAD_REQUEST),
        (json!({"with": "bob.dev"}), StatusCode::BAD_REQUEST),
        (
            json!({"id": "carol.dev", "white": "alice.dev", "black": "dave.dev"}),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        assert_eq!(one.begin(body.clone()).await, Err(status), "{body}");
    }
    for (player, with, played, status) in [
        (&two, "alice.dev", "e7e5", StatusCode::FORBIDDEN),
        (&one, "bob.dev", "e2e5", StatusCode::BAD_REQUEST),
        (&one, "bob.dev", "", StatusCode::BAD_REQUEST),
        (&one, "carol.dev", "e2e4", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(player.play(with, played).await, Err(status), "{played}");
    }
    // A pawn that goes all the way becomes what its player wants.
    for (player, with, played) in [
        (&one, "bob.dev", "a2a4"),
        (&two, "alice.dev", "b7b5"),
        (&one, "bob.dev", "a4b5"),
        (&two, "alice.dev", "a7a6"),
        (&one, "bob.dev", "b5a6"),
        (&two, "alice.dev", "c8b7"),
        (&one, "bob.dev", "a6b7"),
        (&two, "alice.dev", "h7h6"),
        (&one, "bob.dev", "b7a8q"),
    ] {
        player.play(with, played).await.unwrap();
    }
    let board = two.games().await["alice.dev"]["board"].clone();
    let board = board.as_str().unwrap();
    assert!(board.starts_with("Qn1qkbnr/"), "{board}");

    // Games outlive a night's sleep, and either side may give up.
    alice.hibernate().await;
    bob.hibernate().await;
    assert_eq!(one.games().await["bob.dev"]["turns"], 9);
    let resigned = two.resign("alice.dev").await.unwrap();
    assert_eq!(resigned["ended"], true);
    eventually("the end", PATIENCE, async || {
        let games = one.games().await;
        (games["bob.dev"]["ended"] == true).then_some(())
    })
    .await;
    assert_eq!(
        two.play("alice.dev", "b8c6").await,
        Err(StatusCode::CONFLICT)
    );
    assert_eq!(one.resign("carol.dev").await, Err(StatusCode::NOT_FOUND));
    let begun = two.begin(json!({"id": "alice.dev"})).await.unwrap();
    assert_eq!(begun["white"], "bob.dev");
    assert_eq!(one.games().await["bob.dev"]["board"], BEGINNING);
    let patched = one.send(Method::PATCH, "", &Value::Null).await;
    assert_eq!(patched, Err(StatusCode::METHOD_NOT_ALLOWED));
}

/// A browser with the page open.
struct Page {
    browser: Chromium,
    /// Whom it plays with.
    with: &'static str,
}

impl Page {
    async fn open(host: &Host, node: &Node, with: &'static str) -> Self {
        let browser = Chromium::start(Look::default()).await;
        super::sign_in(&browser, node).await;
        let address = host.http();
        let port = address.rsplit(':').next().unwrap();
        let url = format!("http://{}.localhost:{port}/{CHESS}/", node.label);
        browser.goto(&url).await;
        browser.find("#live[data-state=open]").await;
        browser.script("window.notReloaded = true").await;
        Self { browser, with }
    }

    fn square(&self, square: &str, more: &str) -> String {
        format!("[data-game='{}'] [data-square='{square}']{more}", self.with)
    }

    async fn play(&self, from: &str, to: &str) {
        self.browser.click(&self.square(from, "")).await;
        let picked = self.square(from, ".picked");
        self.browser.find(&picked).await;
        self.browser.click(&self.square(to, "")).await;
    }

    /// Waits until a piece stands on a square, after so many moves.
    async fn shows(&self, turns: u32, square: &str, piece: &str) {
        let game = format!("[data-game='{}'][data-turns='{turns}']", self.with);
        self.browser.find(&game).await;
        let piece = format!("[data-piece='{piece}']");
        self.browser.find(&self.square(square, &piece)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_play_on_their_pages() {
    let host = Host::start();
    let (alice, bob) = both_play(&host).await;
    let white = Page::open(&host, &alice, "bob.dev").await;
    let black = Page::open(&host, &bob, "alice.dev").await;
    white.browser.fill("input[name=id]", "bob.dev").await;
    white.browser.press("Begin").await;
    for page in [&white, &black] {
        page.shows(0, "e1", "K").await;
    }
    white.browser.sees("Your move.").await;
    black.browser.sees("alice.dev is to move.").await;

    // What is not allowed is said, and changes nothing.
    white.play("e2", "e5").await;
    white.browser.sees("That is not a legal move.").await;
    white.shows(0, "e2", "P").await;
    black.play("e7", "e5").await;
    black.browser.sees("It is not your turn.").await;

    for (turns, mover, other, from, to, piece) in [
        (1, &white, &black, "f2", "f3", "P"),
        (2, &black, &white, "e7", "e5", "p"),
        (3, &white, &black, "g2", "g4", "P"),
        (4, &black, &white, "d8", "h4", "q"),
    ] {
        mover.play(from, to).await;
        for page in [mover, other] {
            page.shows(turns, to, piece).await;
            page.shows(turns, from, "").await;
        }
    }
    for page in [&white, &black] {
        page.browser.sees("The game is over.").await;
        let same = page.browser.script("return window.notReloaded").await;
        assert_eq!(same, json!(true));
    }
    // The loser wants another one, and gives it up.
    white.browser.press("Begin").await;
    black
        .browser
        .find("[data-turns='0'][data-ended=false]")
        .await;
    black.browser.sees("alice.dev is to move.").await;
    white.browser.press("Resign").await;
    black
        .browser
        .find("[data-turns='0'][data-ended=true]")
        .await;
    // A page that is opened again has it all.
    black.browser.script("location.reload()").await;
    black.browser.find("[data-ended=true]").await;
    black.browser.sees("The game is over.").await;
    white.browser.close().await;
    black.browser.close().await;
}
