// Makes a database for Trivy: "trivy-db FILE BUCKET" reads lines "package\tvulnerability\tfixed version" on standard
// input. Only what matching needs is in it: no descriptions, and one severity for all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	bolt "go.etcd.io/bbolt"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: trivy-db FILE BUCKET")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func write(file, bucket string) error {
	db, err := bolt.Open(file, 0o644, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(func(tx *bolt.Tx) error {
		details, err := tx.CreateBucketIfNotExists([]byte("vulnerability"))
		if err != nil {
			return err
		}
		sources, err := tx.CreateBucketIfNotExists([]byte("data-source"))
		if err != nil {
			return err
		}
		source, err := json.Marshal(map[string]string{"ID": "debian", "Name": "Debian Security Tracker"})
		if err != nil {
			return err
		}
		if err := sources.Put([]byte(bucket), source); err != nil {
			return err
		}
		packages, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			columns := strings.Split(lines.Text(), "\t")
			if len(columns) != 3 {
				return fmt.Errorf("not three columns: %q", lines.Text())
			}
			name, vulnerability, fixed := columns[0], columns[1], columns[2]
			advisories, err := packages.CreateBucketIfNotExists([]byte(name))
			if err != nil {
				return err
			}
			advisory := map[string]string{}
			if fixed != "" {
				advisory["FixedVersion"] = fixed
			}
			for _, entry := range []struct {
				bucket *bolt.Bucket
				value  map[string]string
			}{
				{advisories, advisory},
				{details, map[string]string{"Title": vulnerability, "Severity": "UNKNOWN"}},
			} {
				value, err := json.Marshal(entry.value)
				if err != nil {
					return err
				}
				if err := entry.bucket.Put([]byte(vulnerability), value); err != nil {
					return err
				}
			}
		}
		return lines.Err()
	})
}
