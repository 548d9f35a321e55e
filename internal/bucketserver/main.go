// Bucketserver is an S3-compatible server for tests, in memory, which checks signatures (version 4): written
// by others, so that our exports are tried on what they expect. It prints its address, and serves until it
// is killed. It is a module of its own: nothing of it is in Cardea.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
)

func main() {
	store := s3mem.New()
	if err := store.CreateBucket(context.Background(), "logs"); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	keys := map[string]string{os.Getenv("AWS_ACCESS_KEY_ID"): os.Getenv("AWS_SECRET_ACCESS_KEY")}
	server := http.Server{
		Handler:           gofakes3.New(store, gofakes3.WithV4Auth(keys)).Server(),
		ReadHeaderTimeout: time.Minute,
	}
	fmt.Println("http://" + listener.Addr().String())
	log.Fatal(server.Serve(listener))
}
