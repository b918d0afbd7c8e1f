// Server is a small web server that does what such servers do: pages, files, time zones, users, TLS to others.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"html/template"
	"io"
	"log"
	"math/big"
	"mime"
	"net"
	"net/http"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"syscall"
	"time"
)

var errorPages = map[int]string{http.StatusNotFound: "404.html", http.StatusBadRequest: "400.html"}

func main() {
	listen := flag.String("listen", ":8080", "address of the server")
	version := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *version {
		fmt.Println("server 1.2.0")
		return
	}

	routes := http.NewServeMux()
	routes.Handle("/static/", http.StripPrefix("/static/", http.FileServer(http.Dir("static"))))
	routes.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			fail(w, http.StatusNotFound, "there is no "+r.URL.Path)
			return
		}
		page(w, http.StatusOK, "index.html", r.URL.Query().Get("name"))
	})
	routes.HandleFunc("/time", func(w http.ResponseWriter, r *http.Request) {
		zone, err := time.LoadLocation(r.URL.Query().Get("zone"))
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		noon := time.Date(2026, time.July, 1, 12, 0, 0, 0, time.UTC).In(zone)
		answer(w, map[string]string{"time": noon.Format(time.RFC3339), "zone": noon.Format("MST")})
	})
	routes.HandleFunc("/user", func(w http.ResponseWriter, r *http.Request) {
		found, err := user.Lookup(r.URL.Query().Get("name"))
		if err != nil {
			fail(w, http.StatusNotFound, err.Error())
			return
		}
		group, err := user.LookupGroupId(found.Gid)
		if err != nil {
			fail(w, http.StatusNotFound, err.Error())
			return
		}
		answer(w, map[string]string{"uid": found.Uid, "home": found.HomeDir, "group": group.Name})
	})
	routes.HandleFunc("/roots", func(w http.ResponseWriter, r *http.Request) {
		pool, err := x509.SystemCertPool()
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		answer(w, map[string]bool{"any": len(pool.Subjects()) > 50}) //nolint:staticcheck
	})
	routes.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		client := &http.Client{Timeout: 5 * time.Second}
		response, err := client.Get(r.URL.Query().Get("url"))
		if err != nil {
			fail(w, http.StatusBadGateway, err.Error())
			return
		}
		defer response.Body.Close()
		_, _ = io.Copy(w, response.Body)
	})
	routes.HandleFunc("/type", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]string{"type": mime.TypeByExtension(filepath.Ext(r.URL.Query().Get("name")))})
	})
	routes.HandleFunc("/addresses", func(w http.ResponseWriter, r *http.Request) {
		found, err := net.LookupHost(r.URL.Query().Get("host"))
		if err != nil {
			fail(w, http.StatusNotFound, "no such host")
			return
		}
		answer(w, map[string]int{"addresses": len(found)})
	})

	server := &http.Server{Addr: *listen, Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	go secure(routes)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for received := range signals {
			if received == syscall.SIGHUP {
				log.Print("reloaded in ", time.Now().Location())
				continue
			}
			os.Exit(0)
		}
	}()
	log.Print("listening on ", *listen)
	log.Fatal(server.ListenAndServe())
}

// Secure serves the same over TLS, with a certificate that nobody has reason to trust.
func secure(routes http.Handler) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	request := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	certificate, err := x509.CreateCertificate(rand.Reader, request, request, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}
	listener, err := tls.Listen("tcp", "127.0.0.1:8443", config)
	if err != nil {
		log.Fatal(err)
	}
	log.Print(http.Serve(listener, routes))
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func fail(w http.ResponseWriter, status int, text string) {
	if name, ok := errorPages[status]; ok {
		page(w, status, name, text)
		return
	}
	http.Error(w, text, status)
}

func page(w http.ResponseWriter, status int, name, text string) {
	parsed, err := template.ParseFiles(filepath.Join("templates", name))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = parsed.Execute(w, text)
}
