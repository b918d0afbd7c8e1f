//! rpm's database in SQLite: a table `Packages` of headers, and one table for each index.
//!
//! The file is read and written in memory: nothing of it touches the disk, and a hostile schema cannot do more than
//! fail. Source: rpm, `lib/backend/sqlite.c`; SQLite documentation, "Defense Against The Dark Arts".

use rusqlite::config::DbConfig;
use rusqlite::{Connection, limits::Limit};

use super::{Broken, Numbered, wal};

const MAGIC: &[u8] = b"SQLite format 3\0";
/// rpm has some twenty tables with two indexes each.
const MAX_SCHEMA_ENTRIES: usize = 300;
/// Steps of SQLite's machine between two looks at the clock, so to speak, and how many such looks it gets: a few
/// seconds. The largest real database needs a hundredth.
const STEPS: i32 = 1_000_000;
const MAX_LOOKS: u32 = 1_000;

/// A database in memory.
pub(super) struct Database {
    connection: Connection,
    /// The index tables.
    indexes: Vec<String>,
}

/// What to change in a database.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Headers to delete, with their rows in every index.
    pub(super) gone: Vec<u32>,
    /// Headers with other content.
    pub(super) changed: Vec<Numbered>,
}

impl Database {
    /// Opens the file's bytes with what its write-ahead log holds, and checks that it is what rpm writes.
    pub(super) fn open(mut bytes: Vec<u8>, log: &[u8]) -> Result<Self, Broken> {
        if bytes.len() < 512 || !bytes.starts_with(MAGIC) {
            return Err(Broken::Wrong("this is no SQLite database"));
        }
        wal::apply(&mut bytes, log)?;
        // What the log had is in: the file no longer wants one. So it can be opened where nothing can be written, too.
        bytes[18..20].copy_from_slice(&[1, 1]);
        let mut connection = Connection::open_in_memory()?;
        connection.deserialize_read_exact("main", &bytes[..], bytes.len(), false)?;
        drop(bytes);
        for (config, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
        ] {
            connection.set_db_config(config, on)?;
        }
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, 300 << 20)?;
        let mut looks = 0;
        connection.progress_handler(
            STEPS,
            Some(move || {
                looks += 1;
                looks > MAX_LOOKS
            }),
        )?;
        connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;")?;
        let indexes = index_tables(&connection)?;
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Broken::Sqlite(verdict.chars().take(200).collect()));
        }
        Ok(Self { connection, indexes })
    }

    /// The headers, by number, up to one more than `limit`.
    pub(super) fn headers(&self, limit: usize) -> Result<Vec<Numbered>, Broken> {
        let limit = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut statement =
            self.connection.prepare("SELECT hnum, blob FROM Packages ORDER BY hnum LIMIT ?1")?;
        let mut rows = statement.query([limit])?;
        let mut headers = Vec::new();
        while let Some(row) = rows.next()? {
            headers.push((row.get(0)?, row.get(1)?));
        }
        Ok(headers)
    }

    /// The file with these changes and no free space. The same input gives the same bytes.
    pub(super) fn changed(mut self, changes: &Changes) -> Result<Vec<u8>, Broken> {
        let gone: Vec<String> = changes.gone.iter().map(ToString::to_string).collect();
        let gone = gone.join(",");
        for table in self.indexes.iter().map(String::as_str).chain(["Packages"]) {
            self.connection.execute(&format!("DELETE FROM {} WHERE hnum IN ({gone})", quoted(table)), [])?;
        }
        let mut update = self.connection.prepare("UPDATE Packages SET blob = ?2 WHERE hnum = ?1")?;
        for (number, blob) in &changes.changed {
            update.execute((number, blob))?;
        }
        drop(update);
        self.connection.execute_batch("VACUUM")?;
        Ok(self.connection.serialize("main")?.to_vec())
    }
}

/// The tables that name headers, and nothing else in the schema.
fn index_tables(connection: &Connection) -> Result<Vec<String>, Broken> {
    let unusual = Err(Broken::Wrong("its tables are not those of rpm"));
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name")?;
    let mut rows = statement.query([])?;
    let (mut tables, mut count) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (kind, name, sql): (String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        count += 1;
        let is_virtual =
            sql.is_some_and(|sql| sql.trim_start().to_ascii_uppercase().starts_with("CREATE VIRTUAL"));
        if count > MAX_SCHEMA_ENTRIES || is_virtual || !matches!(kind.as_str(), "table" | "index") {
            return unusual;
        }
        if kind == "table" && !name.starts_with("sqlite_") {
            tables.push(name);
        }
    }
    for table in &tables {
        let wanted = if table == "Packages" { "hnum, blob" } else { "hnum, key" };
        if connection.prepare(&format!("SELECT {wanted} FROM {}", quoted(table))).is_err() {
            return unusual;
        }
    }
    let before = tables.len();
    tables.retain(|table| table != "Packages");
    if tables.len() == before { unusual } else { Ok(tables) }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.to_string().chars().take(200).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(schema: &str) -> Vec<u8> {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema).unwrap();
        connection.serialize("main").unwrap().to_vec()
    }

    const RPM: &str = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
        CREATE TABLE Name ('key' TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL,
            FOREIGN KEY (hnum) REFERENCES Packages(hnum));
        CREATE INDEX Name_key_idx ON Name(key ASC);
        INSERT INTO Packages VALUES (1, x'01'), (2, x'02'), (7, zeroblob(100000));
        INSERT INTO Name VALUES ('a', 1, 0), ('b', 2, 0), ('c', 7, 0);";

    #[test]
    fn rows_of_what_is_gone_go_from_every_table() {
        let change = || {
            let changes = Changes { gone: vec![2, 7], changed: vec![(1, vec![9])] };
            Database::open(file(RPM), &[]).unwrap().changed(&changes).unwrap()
        };
        let bytes = change();
        assert_eq!(bytes, change());
        assert!(bytes.len() < 30_000, "{} bytes: free pages remain", bytes.len());
        assert_eq!(bytes[18..20], [1, 1], "it wants a write-ahead log");
        let database = Database::open(bytes, &[]).unwrap();
        assert_eq!(database.headers(10).unwrap(), [(1, vec![9])]);
        let names: i64 =
            database.connection.query_row("SELECT count(*) FROM Name", [], |row| row.get(0)).unwrap();
        assert_eq!(names, 1);
    }

    #[test]
    fn what_rpm_never_wrote_is_refused() {
        let trigger = "CREATE TRIGGER t AFTER DELETE ON Name BEGIN DELETE FROM Packages; END;";
        let endless = "CREATE VIEW v AS WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x)
            SELECT n FROM x;";
        for schema in [
            "CREATE TABLE other (a);",
            "CREATE TABLE Packages (a);",
            "CREATE VIEW Packages AS SELECT 1 AS hnum, x'00' AS blob;",
            &format!("{RPM}{trigger}"),
            &format!("{RPM}{endless}"),
            &format!("{RPM}CREATE TABLE more (a);"),
        ] {
            assert!(Database::open(file(schema), &[]).is_err(), "{schema}");
        }
        assert!(Database::open(b"SQLite format 3\0".to_vec(), &[]).is_err());
        assert!(Database::open(vec![0; 4096], &[]).is_err());
    }

    #[test]
    fn damaged_files_are_refused_or_read_but_break_nothing() {
        let good = file(RPM);
        for at in (0..good.len().min(20_000)).step_by(37) {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            if let Ok(database) = Database::open(bad, &[]) {
                database.headers(10).ok();
                database.changed(&Changes { gone: vec![2], changed: vec![(1, vec![9])] }).ok();
            }
        }
        for length in [512, 4096, 8192, good.len() - 4096] {
            let cut = Database::open(good[..length].to_vec(), &[]);
            assert!(cut.is_err(), "cut to {length}");
        }
    }
}
