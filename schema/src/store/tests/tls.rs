//! What a DSN asks for of TLS, on servers that have a certificate of an authority of the test run.

use std::path::PathBuf;

use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{AsyncConnection, RunQueryDsl};

use crate::store::{
    dsn::Dsn,
    pool::{Mysql, Postgres, Server, connect, tls::ExtraRoots},
    testing::{Database, Kind, authority},
};

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = Text)]
    said: String,
}

/// What the server says of the connection to it, or why there is none.
async fn asked<S>(server: S, question: &str) -> Result<String, String>
where
    S: Server,
    S::Connection: AsyncConnection,
    diesel::query_builder::SqlQuery: for<'a> diesel_async::methods::LoadQuery<'a, S::Connection, Said>,
{
    let mut connection = connect(&server).await.map_err(|error| error.to_string())?;
    let said: Said = sql_query(question).get_result(&mut connection).await.map_err(|error| error.to_string())?;
    Ok(said.said)
}

fn roots(known: bool) -> ExtraRoots {
    ExtraRoots(if known { vec![authority()] } else { Vec::<PathBuf>::new() })
}

#[tokio::test]
async fn postgres_is_reached_as_sslmode_says() {
    let database = Database::new(Kind::Postgres);
    let (_, port) = database.server_address();
    let plain = database.dsn_at(port);
    let plain = plain.strip_suffix("sslmode=disable").expect("it ends so");
    for (host, mode, knows, expected) in [
        ("", "disable", true, Ok("false")),
        ("", "prefer", false, Ok("true")),
        ("", "require", false, Ok("true")),
        ("", "verify-ca", true, Ok("true")),
        ("", "verify-full", true, Ok("true")),
        ("", "verify-ca", false, Err("UnknownIssuer")),
        ("", "verify-full", false, Err("UnknownIssuer")),
        // Of a known authority, but for another name.
        ("host=db.example hostaddr=127.0.0.1", "require", true, Ok("true")),
        ("host=db.example hostaddr=127.0.0.1", "verify-ca", true, Ok("true")),
        ("host=db.example hostaddr=127.0.0.1", "verify-full", true, Err("not valid for name")),
    ] {
        let text = match host {
            "" => format!("{plain} sslmode={mode}"),
            host => format!("{} {host} sslmode={mode}", plain.replace("host=127.0.0.1", "")),
        };
        let Ok(Dsn::Postgres(dsn)) = text.parse() else { panic!("{text}") };
        let server = Postgres::new(&dsn, roots(knows)).expect("the certificate is readable");
        let said = asked(server, "SELECT ssl::text AS said FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await;
        let case = format!("{mode} {host} {knows}: {said:?}");
        match expected {
            Ok(expected) => assert_eq!(said.as_deref(), Ok(expected), "{case}"),
            Err(part) => assert!(said.is_err_and(|error| error.contains(part)), "{case}"),
        }
    }
    let text = format!("{plain} sslmode=require sslrootcert=/nowhere/ca.pem");
    let Ok(Dsn::Postgres(dsn)) = text.parse() else { panic!("{text}") };
    let refused = Postgres::new(&dsn, roots(false)).err().expect("there is no such file").to_string();
    assert!(refused.contains("/nowhere/ca.pem"), "{refused}");
}

#[tokio::test]
async fn mysql_is_reached_as_tls_says() {
    let database = Database::new(Kind::Mysql);
    let (_, port) = database.server_address();
    for (mode, knows, expected) in [
        ("false", true, Ok(false)),
        ("preferred", false, Ok(true)),
        ("skip-verify", false, Ok(true)),
        ("true", true, Ok(true)),
        ("true", false, Err("UnknownIssuer")),
    ] {
        let text = format!("{}?tls={mode}", database.dsn_at(port));
        let Ok(Dsn::Mysql(dsn)) = text.parse() else { panic!("{text}") };
        let server = Mysql::new(&dsn, &roots(knows)).expect("the certificate is readable");
        let question = "SELECT variable_value AS said FROM information_schema.session_status \
                        WHERE variable_name = 'SSL_CIPHER'";
        let said = asked(server, question).await;
        let case = format!("{mode} {knows}: {said:?}");
        match expected {
            Ok(is_on) => assert_eq!(said.map(|cipher| !cipher.is_empty()), Ok(is_on), "{case}"),
            Err(part) => assert!(said.is_err_and(|error| error.contains(part)), "{case}"),
        }
    }
}
