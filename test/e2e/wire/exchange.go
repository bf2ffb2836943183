package wire

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// End is how a client ends its side after the bytes it sends.
type End int

const (
	Wait  End = iota // keep the connection open and wait for the answer
	Close            // close the sending side (FIN), and wait for the answer
	Reset            // tear the connection down (RST), and wait for nothing
)

// Answer is what came back. Status 0: the connection ended without an answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Code   string // of the S3 error, when the body is one
	ID     string // RequestId of the S3 error
}

func (a Answer) String() string {
	if a.Status == 0 {
		return "no answer"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Code))
}

// Exchange sends raw bytes over a connection of their own and reads the
// answer to a request of the given method. A server may answer before it has
// read everything, so reading goes on beside the writing. No answer within
// the limit is an error; a connection that ends without one is not.
func Exchange(addr, method string, m Message, end End, limit time.Duration) (Answer, error) {
	conn, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	tcp := conn.(*net.TCPConn)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if _, err := conn.Write(m.Head); err != nil {
			return // the answer, if any, tells why
		}
		if _, err := conn.Write(m.Body); err == nil && end == Close {
			tcp.CloseWrite()
		}
	}()
	if end == Reset {
		<-sent
		tcp.SetLinger(0)
		return Answer{}, nil
	}
	a, err := read(conn, method)
	conn.Close()
	<-sent
	return a, err
}

func read(conn net.Conn, method string) (Answer, error) {
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return Answer{}, fmt.Errorf("no answer in time: %w", err)
		}
		return Answer{}, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return Answer{}, fmt.Errorf("answer %d cut short: %w", resp.StatusCode, err)
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}
	a.Code, a.ID = ParseError(body)
	return a, nil
}

// ParseError reads an S3 error document; both are empty when it is none.
func ParseError(body []byte) (code, id string) {
	var doc struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		RequestID string `xml:"RequestId"`
	}
	if xml.Unmarshal(body, &doc) != nil {
		return "", ""
	}
	return doc.Code, doc.RequestID
}
