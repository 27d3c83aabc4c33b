//! temp
use std::net::SocketAddr;
#[tokio::main]
async fn main() {
    let t = std::time::Instant::now();
    let d = std::env::args().nth(1).unwrap();
    let db = store::Db::open(&format!("sqlite:{d}/id.db")).unwrap();
    let settings = identity::Settings {
        issuer: "http://127.0.0.1:18081".into(),
        open_registration: identity::OpenRegistration::Users,
        min_password_length: 8,
        access_token_ttl: std::time::Duration::from_secs(3600),
        key_file: format!("{d}/key").into(),
        clients: vec![],
    };
    let id = identity::Identity::open(db, settings, store::Clock::System).await.unwrap();
    println!("{:?} {:?}", t.elapsed(), id.setup_link().await.unwrap());
    let l = tokio::net::TcpListener::bind("127.0.0.1:18081").await.unwrap();
    axum::serve(l, id.router().into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
}
