//! The workloads under which the sensor's cost is measured.

/// What is run, and how its operations are counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What one operation is.
    pub(crate) unit: &'static str,
    /// What watching it may cost, as a ratio.
    pub(crate) bound: Option<f64>,
    pub(crate) kind: Kind,
}

/// A program that ends by itself, or a server with a load on it. In all scripts `$dir` is a directory for files, `$port`
/// a free port, and `$root` a mounted root file system with `/t/storm` and `/t/many`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// The script, and its number of operations; under strace it does `$slow` times fewer.
    Batch { script: &'static str, operations: u32, slow: u32 },
    /// `server` is measured, while `load` works on it; it prints the number of operations on its last line.
    Server { prepare: &'static str, server: &'static str, ready: &'static str, load: &'static str },
}

/// Debian packages that the workloads take.
pub(crate) const PACKAGES: [&str; 7] =
    ["redis-server", "redis-tools", "nginx-light", "wrk", "postgresql", "nodejs", "python3-minimal"];

/// What watching a service may cost.
pub(crate) const SERVICE: f64 = 1.05;
/// What watching a loop of open and close may cost.
pub(crate) const OPEN: f64 = 1.4;
/// What watching a loop of stat may cost.
pub(crate) const STAT: f64 = 1.5;

const REDIS: &str = "exec redis-server --port $port --save '' --appendonly no --dir $dir";
const REDIS_READY: &str = "redis-cli -p $port ping";

/// All of them, in the order of the table.
pub(crate) const WORKLOADS: [Workload; 9] = [
    Workload {
        name: "redis, 50 clients",
        unit: "request",
        bound: Some(SERVICE),
        kind: Kind::Server {
            prepare: ":",
            server: REDIS,
            ready: REDIS_READY,
            load: "redis-benchmark -p $port -n 20000 -c 50 -t set,get -q >&2; echo 40000",
        },
    },
    Workload {
        name: "redis, pipelines of 16",
        unit: "request",
        bound: Some(SERVICE),
        kind: Kind::Server {
            prepare: ":",
            server: REDIS,
            ready: REDIS_READY,
            load: "redis-benchmark -p $port -n 250000 -c 50 -P 16 -t set,get -q >&2; echo 500000",
        },
    },
    Workload {
        name: "nginx, 4 KiB file",
        unit: "request",
        bound: Some(SERVICE),
        kind: Kind::Server {
            prepare: "mkdir -p $dir/www; head -c 4096 /dev/zero > $dir/www/file; chmod -R a+rX $dir; \
                      printf 'worker_processes 1; daemon off; pid %s/pid; error_log /dev/null; events {} \
                      http { access_log off; client_body_temp_path %s/a; proxy_temp_path %s/b; fastcgi_temp_path %s/c; \
                      uwsgi_temp_path %s/d; scgi_temp_path %s/e; server { listen 127.0.0.1:%s; root %s/www; } }' \
                      $dir $dir $dir $dir $dir $dir $port $dir > $dir/nginx.conf",
            server: "exec nginx -c $dir/nginx.conf",
            ready: "curl -sf http://127.0.0.1:$port/file -o $dir/answer",
            load: "wrk -t 1 -c 20 -d 1s http://127.0.0.1:$port/file | awk '/requests in/ { print $1 }'",
        },
    },
    Workload {
        name: "PostgreSQL, pgbench",
        unit: "transaction",
        bound: Some(SERVICE),
        kind: Kind::Server {
            prepare: "chmod 711 $dir; [ -d $dir/pg ] || { mkdir $dir/pg; chown nobody $dir/pg; \
                      setpriv --reuid nobody --clear-groups $pg/initdb -D $dir/pg -U bench >&2; }",
            server: "exec setpriv --reuid nobody --clear-groups $pg/postgres -D $dir/pg -p $port -k $dir/pg",
            ready: "psql -h 127.0.0.1 -p $port -U bench -c 'select 1' postgres",
            load: "pgbench -h 127.0.0.1 -p $port -U bench -i -q postgres >&2; \
                   pgbench -h 127.0.0.1 -p $port -U bench -c 4 -t 400 postgres >&2; echo 1600",
        },
    },
    Workload {
        name: "Python, start with imports",
        unit: "start",
        bound: None,
        kind: Kind::Batch {
            script: "for ((i = 0; i < 8; i++)); do /usr/bin/python3 -S -c 'import json, http.client, email, logging, unittest'; done",
            operations: 8,
            slow: 1,
        },
    },
    Workload {
        name: "Node, start",
        unit: "start",
        bound: None,
        kind: Kind::Batch {
            script: "for ((i = 0; i < 6; i++)); do node -e 'require(\"http\")'; done",
            operations: 6,
            slow: 1,
        },
    },
    Workload {
        name: "fork and exec",
        unit: "process",
        bound: None,
        kind: Kind::Batch {
            script: "for ((i = 0; i < 1500 / slow; i++)); do /bin/true; done",
            operations: 1500,
            slow: 5,
        },
    },
    Workload {
        name: "open and close, 1000 files",
        unit: "pair",
        bound: Some(OPEN),
        kind: Kind::Batch {
            script: "chroot $root /t/storm open 1 $((400000 / slow))",
            operations: 400_000,
            slow: 20,
        },
    },
    Workload {
        name: "stat, 1000 files",
        unit: "call",
        bound: Some(STAT),
        kind: Kind::Batch {
            script: "chroot $root /t/storm stat 1 $((600000 / slow))",
            operations: 600_000,
            slow: 20,
        },
    },
];
