// Runs templates through Go's own text/template and writes what comes of them as JSON:
//
//	main CASES DOCUMENT > VECTORS
//
// CASES has lines "DATA TEMPLATE": DATA is inspect (the document), row, header, values, or a JSON text
// without blanks; ⏎ in the template stands for a newline.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"templates/commands"
	"templates/engine"
	"templates/state"
	"templates/swarm"
)

type vector struct {
	Data     string `json:"data"`
	Template string `json:"template"`
	Out      string `json:"out"`
	Parse    string `json:"parse,omitempty"`
	Exec     string `json:"exec,omitempty"`
}

func join(list any, sep string) (string, error) {
	if list == nil {
		return "", nil
	}
	v := reflect.ValueOf(list)
	if v.Kind() != reflect.Slice {
		return "", fmt.Errorf("expected a list, got %T", list)
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = fmt.Sprint(v.Index(i).Interface())
	}
	return strings.Join(parts, sep), nil
}

func pad(s string, before, after int) (string, error) {
	if before < 0 || after < 0 {
		return "", fmt.Errorf("negative padding")
	}
	if s == "" {
		return s, nil
	}
	return strings.Repeat(" ", before) + s + strings.Repeat(" ", after), nil
}

func truncate(s string, n int) (string, error) {
	if n < 0 {
		return "", fmt.Errorf("negative length")
	}
	if utf8.RuneCountInString(s) <= n {
		return s, nil
	}
	return string([]rune(s)[:n]), nil
}

var functions = template.FuncMap{
	"json": func(v any) string {
		b, _ := json.Marshal(v)
		return string(b)
	},
	"prettyjson": func(v any) string {
		b, _ := json.MarshalIndent(v, "", "    ")
		return string(b)
	},
	"join":     join,
	"split":    strings.Split,
	"lower":    strings.ToLower,
	"upper":    strings.ToUpper,
	"title":    strings.Title,
	"pad":      pad,
	"truncate": truncate,
}

var row = commands.HostListItem{
	Name:       "web1",
	Active:     "*",
	ActiveHost: true,
	DriverName: "generic",
	State:      state.State(1),
	URL:        "tcp://192.0.2.1:2376",
	SwarmOptions: &swarm.Options{Discovery: "token://1", Master: true, Heartbeat: 5, Overcommit: 0.5,
		Host: "tcp://0.0.0.0:3376"},
	Swarm:         "web1 (master)",
	EngineOptions: &engine.Options{Labels: []string{"a=b", "c"}, Env: []string{}, TlsVerify: true, InstallURL: "https://get.docker.com"},
	DockerVersion: "v20.10.24",
	ResponseTime:  1203 * time.Millisecond,
}

// what printf is asked for: every verb with some flags, for values of every type
func formats() (list []string) {
	values := []string{`42`, `-7`, `0`, `1.5`, `-0.25`, `1e21`, `"héllo"`, `""`, `"a\tb"`, `true`, `nil`, `.S`, `.N`, `.Big`,
		`.L`, `.M`, `.B`, `.Null`, `.Empty`, `'x'`, `(len "abc")`, `(index "abc" 1)`, `(split "a,b" ",")`}
	specs := []string{"v", "+v", "#v", "T", "s", "q", "d", "x", "X", "t", "f", "e", "g", "c", "U", "o", "b",
		"5v", "-5v|", "05d", "+d", " d", "8.3f", "-8.2f|", ".2s", ".1f", "+.2e", "#x", "#q", "+q", "6q", "#o", "O", "G", "E", "F", "% x", "010.3f",
		"+08d", "#g", "5t", "-7t|", "20s", "-20s|", ".0f", ".3g", "z", "#U", ".4d", "8.4d", "08.2f", "#.3x", "é"}
	for _, s := range specs {
		for _, v := range values {
			list = append(list, fmt.Sprintf(`{{printf "%%%s" %s}}`, s, v))
		}
	}
	return
}

const values = `{"S":"text","N":42,"Big":1234567,"L":["a",1,null,true],"M":{"k":"v","a":[1.5]},"B":false,"Null":null,"Empty":[]}`

func run(doc, data, text string) vector {
	v := vector{Data: data, Template: text}
	t, err := template.New("").Funcs(functions).Parse(text)
	if err != nil {
		v.Parse = err.Error()
		return v
	}
	var value any
	switch data {
	case "row":
		value = row
	case "header":
		value = commands.Headers
	default:
		if data == "inspect" {
			data = doc
		} else if data == "values" {
			data = values
		}
		if err := json.Unmarshal([]byte(data), &value); err != nil {
			panic(data + ": " + err.Error())
		}
	}
	var out bytes.Buffer
	if err := t.Execute(&out, value); err != nil {
		v.Exec = err.Error()
	}
	v.Out = out.String()
	return v
}

func main() {
	cases, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	doc, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	var list []vector
	for _, line := range strings.Split(strings.TrimSuffix(string(cases), "\n"), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		data, text, _ := strings.Cut(line, " ")
		list = append(list, run(string(doc), data, strings.ReplaceAll(text, "⏎", "\n")))
	}
	for _, text := range formats() {
		v := run(string(doc), "values", text)
		if !strings.Contains(v.Out, "\x00") { // those who read the vectors refuse it
			list = append(list, v)
		}
	}
	seen := map[string]bool{}
	fmt.Printf("{\"documents\": {\"inspect\": %s, \"values\": %s},\n\"vectors\": [\n", doc, values)
	for i, v := range list {
		if key := v.Data + "\x00" + v.Template; seen[key] {
			panic("twice: " + v.Template)
		} else {
			seen[key] = true
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.Encode(v)
		line := strings.TrimSpace(b.String())
		if i < len(list)-1 {
			line += ","
		}
		fmt.Println(line)
	}
	fmt.Println("]}")
}
