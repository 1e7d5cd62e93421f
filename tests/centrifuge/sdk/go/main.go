// The SDK for Go. Commands come by standard input and events leave by standard output, one JSON object a line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

type object = map[string]any

var (
	mutex  sync.Mutex
	output = json.NewEncoder(os.Stdout)
	tokens = make(chan string, 16)

	subscriptionTokens = make(chan string, 16)
)

func tell(event string, fields object) {
	mutex.Lock()
	defer mutex.Unlock()
	fields["event"] = event
	_ = output.Encode(fields)
}

func obey(subscription *centrifuge.Subscription, client *centrifuge.Client, command object) (any, error) {
	patience, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch command["verb"] {
	case "publish":
		data, _ := json.Marshal(command["data"])
		_, err := subscription.Publish(patience, data)
		return nil, err
	case "presence":
		result, err := subscription.Presence(patience)
		users := []string{}
		for _, info := range result.Clients {
			users = append(users, info.User)
		}
		return users, err
	case "stats":
		result, err := subscription.PresenceStats(patience)
		return []int{result.NumClients, result.NumUsers}, err
	case "history":
		result, err := subscription.History(patience, centrifuge.WithHistoryLimit(int32(command["limit"].(float64))))
		data := []json.RawMessage{}
		for _, publication := range result.Publications {
			data = append(data, publication.Data)
		}
		return data, err
	case "end":
		return nil, client.Disconnect()
	}
	return nil, fmt.Errorf("no such verb: %v", command["verb"])
}

func listen(client *centrifuge.Client, subscription *centrifuge.Subscription) {
	client.OnConnected(func(centrifuge.ConnectedEvent) { tell("connected", object{}) })
	client.OnConnecting(func(event centrifuge.ConnectingEvent) {
		tell("connecting", object{"code": event.Code, "reason": event.Reason})
	})
	client.OnDisconnected(func(event centrifuge.DisconnectedEvent) {
		tell("disconnected", object{"code": event.Code, "reason": event.Reason})
	})
	subscription.OnSubscribed(func(event centrifuge.SubscribedEvent) {
		tell("subscribed", object{"wasRecovering": event.WasRecovering, "recovered": event.Recovered})
	})
	subscription.OnUnsubscribed(func(event centrifuge.UnsubscribedEvent) {
		tell("unsubscribed", object{"code": event.Code, "reason": event.Reason})
	})
	subscription.OnPublication(func(event centrifuge.PublicationEvent) {
		tell("publication", object{"data": json.RawMessage(event.Data), "offset": event.Offset})
	})
	subscription.OnJoin(func(event centrifuge.JoinEvent) { tell("join", object{"user": event.User}) })
}

func main() {
	config := centrifuge.Config{
		GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) {
			tell("token", object{"channel": ""})
			return <-tokens, nil
		},
		MinReconnectDelay: 50 * time.Millisecond,
		MaxReconnectDelay: 500 * time.Millisecond,
	}
	create := centrifuge.NewJsonClient
	if os.Getenv("SDK_FORMAT") == "protobuf" {
		create = centrifuge.NewProtobufClient
	}
	client := create(os.Getenv("SDK_URL"), config)
	subscription, err := client.NewSubscription(os.Getenv("SDK_CHANNEL"), centrifuge.SubscriptionConfig{
		Recoverable: true, Positioned: true, JoinLeave: true,
		GetToken: func(event centrifuge.SubscriptionTokenEvent) (string, error) {
			tell("token", object{"channel": event.Channel})
			return <-subscriptionTokens, nil
		},
		MinResubscribeDelay: 50 * time.Millisecond, MaxResubscribeDelay: 500 * time.Millisecond,
	})
	if err != nil {
		panic(err)
	}
	listen(client, subscription)
	_ = subscription.Subscribe()
	go func() { _ = client.Connect() }() // it returns once it has a token

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		command := object{}
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			panic(err)
		}
		if token, ok := command["token"].(string); ok {
			if command["channel"] == "" {
				tokens <- token
			} else {
				subscriptionTokens <- token
			}
			continue
		}
		go func() {
			value, err := obey(subscription, client, command)
			if err != nil {
				tell("answer", object{"number": command["number"], "error": err.Error()})
				return
			}
			tell("answer", object{"number": command["number"], "value": value})
		}()
	}
}
