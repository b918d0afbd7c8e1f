vcl 4.1;

backend default none;

sub vcl_recv {
    if (req.url == "/health") {
        return (synth(200, "OK"));
    }
    if (req.url ~ "^/old/") {
        return (synth(301, regsub(req.url, "^/old", "/new")));
    }
    return (synth(404));
}

sub vcl_synth {
    if (resp.status == 301) {
        set resp.http.Location = resp.reason;
        set resp.reason = "Moved";
        return (deliver);
    }
    set resp.http.Content-Type = "text/plain; charset=utf-8";
    synthetic(resp.reason + " from " + server.identity + {"
"});
    return (deliver);
}
