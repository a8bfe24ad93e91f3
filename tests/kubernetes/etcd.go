package main

import (
	"errors"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcd DIRECTORY CLIENT-URL PEER-URL: the API server's database.
//
// Its data is thrown away with the cluster, so nothing is synced to the disk, and nobody asks it to end: it is killed.
func etcd(arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("wants a directory, a URL for clients and one for peers")
	}
	clients, err := url.Parse(arguments[1])
	if err != nil {
		return err
	}
	peers, err := url.Parse(arguments[2])
	if err != nil {
		return err
	}
	config := embed.NewConfig()
	config.Dir = arguments[0]
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*clients}, []url.URL{*clients}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peers}, []url.URL{*peers}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	// One level lower it logs each request.
	config.LogLevel = "error"
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	return <-server.Err()
}
