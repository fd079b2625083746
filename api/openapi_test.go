package api_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/forensic-custody/custody/api"
)

// object is a JSON object.
type object = map[string]any

// description is openapi.json, read.
type description struct {
	doc      object
	mu       sync.Mutex // a compiler is for one goroutine at a time
	compiler *jsonschema.Compiler
}

const descriptionURL = "https://custody.example/openapi.json"

func readDescription(t testing.TB) *description {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(api.OpenAPI))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020) // OpenAPI 3.1.0, section 4.8.24
	c.AssertContent()
	require.NoError(t, c.AddResource(descriptionURL, doc))
	return &description{doc: doc.(object), compiler: c}
}

// at follows a JSON pointer.
func (d *description) at(pointer string) object {
	var v any = d.doc
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		v, _ = v.(object)[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		if v == nil {
			return nil
		}
	}
	found, _ := v.(object)
	if ref, ok := found["$ref"].(string); ok {
		return d.at(strings.TrimPrefix(ref, "#"))
	}
	return found
}

// response returns what is promised for an answer, and where that is written.
func (d *description) response(pattern, method string, status int) (object, string) {
	path := strings.ReplaceAll(strings.ReplaceAll(pattern, "*", "{path}"), "/", "~1")
	for _, key := range []string{strconv.Itoa(status), "default"} {
		where := fmt.Sprintf("/paths/%s/%s/responses/%s", path, strings.ToLower(method), key)
		if found := d.at(where); found != nil {
			return found, where
		}
	}
	return nil, ""
}

// validate holds a body against a schema of the description.
func (d *description) validate(pointer string, body []byte) error {
	d.mu.Lock()
	schema, err := d.compiler.Compile(descriptionURL + "#" + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(pointer))
	d.mu.Unlock()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// described lets no answer pass that the description does not promise.
type described struct {
	t      *testing.T
	d      *description
	routes chi.Routes
	next   http.RoundTripper
}

func (d described) RoundTrip(q *http.Request) (*http.Response, error) {
	r, err := d.next.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	return r, d.check(q, r)
}

func (d described) check(q *http.Request, r *http.Response) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.StatusCode >= 400 && kind != "application/problem+json" {
		return fmt.Errorf("%s %s: %s as %q, not as a problem", q.Method, q.URL.Path, r.Status, kind)
	}
	body := []byte{}
	if strings.HasSuffix(kind, "json") && q.Method != http.MethodHead {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return err
		}
		if err := r.Body.Close(); err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	route := chi.NewRouteContext()
	promised, where := object{"content": object{"application/problem+json": nil}}, "/components/responses/Problem"
	if d.routes.Match(route, q.Method, q.URL.EscapedPath()) {
		promised, where = d.d.response(route.RoutePattern(), q.Method, r.StatusCode)
	}
	if promised == nil {
		return fmt.Errorf("%s %s: nothing is promised for %s", q.Method, route.RoutePattern(), r.Status)
	}
	content, _ := promised["content"].(object)
	if _, ok := content[kind]; !ok && !(kind == "" && len(content) == 0) {
		return fmt.Errorf("%s %s: %s as %q, which is not promised", q.Method, q.URL.Path, r.Status, kind)
	}
	if len(body) == 0 {
		return nil
	}
	if kind == "application/problem+json" {
		where = "/components/responses/Problem"
		if !bytes.Contains(body, fmt.Appendf(nil, `"status":%d,`, r.StatusCode)) && !bytes.Contains(body, fmt.Appendf(nil, `"status":%d}`, r.StatusCode)) {
			return fmt.Errorf("the problem is not of status %d: %s", r.StatusCode, body)
		}
	}
	if err := d.d.validate(where+"/content/"+strings.ReplaceAll(kind, "/", "~1")+"/schema", body); err != nil {
		return fmt.Errorf("%s %s: %s is not as promised: %w\n%s", q.Method, q.URL.Path, r.Status, err, body)
	}
	return nil
}

// routes returns what the router answers: "GET /livez".
func routes(t *testing.T, a *api.API) []string {
	t.Helper()
	list := []string{}
	require.NoError(t, chi.Walk(a.Routes(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		list = append(list, method+" "+route)
		return nil
	}))
	slices.Sort(list)
	return list
}

func TestDescriptionAndRouterAgree(t *testing.T) {
	s := newService(t)
	inDocument := []string{}
	for path, methods := range s.description().at("/paths") {
		for method := range methods.(object) {
			inDocument = append(inDocument, strings.ToUpper(method)+" "+strings.ReplaceAll(path, "{path}", "*"))
		}
	}
	slices.Sort(inDocument)
	require.Equal(t, routes(t, s.api), inDocument)
}

func (s *service) description() *description { return readDescription(s.t) }

// TestDescriptionIsSound checks what OpenAPI 3.1.0, section 4.8, asks of each
// part that is used, and that every schema is one.
func TestDescriptionIsSound(t *testing.T) {
	d := readDescription(t)
	require.Equal(t, "3.1.0", d.doc["openapi"])
	require.NotEmpty(t, d.at("/info")["title"])
	require.NotEmpty(t, d.at("/info")["version"])
	for name := range d.at("/components/schemas") {
		_, err := d.compiler.Compile(descriptionURL + "#/components/schemas/" + name)
		require.NoError(t, err)
	}
	ids := map[string]bool{}
	for path, methods := range d.at("/paths") {
		for method, operation := range methods.(object) {
			at := method + " " + path
			o := operation.(object)
			id, _ := o["operationId"].(string)
			require.NotEmpty(t, id, at)
			require.False(t, ids[id], "%s: operationId %s is there twice", at, id)
			ids[id] = true
			require.NotEmpty(t, o["responses"], at)
			for status := range o["responses"].(object) {
				r := d.at("/paths/" + strings.ReplaceAll(path, "/", "~1") + "/" + method + "/responses/" + status)
				require.NotEmpty(t, r["description"], "%s %s", at, status)
				require.Subset(t, []string{"description", "content", "headers", "links"}, slices.Collect(maps.Keys(r)))
			}
			inPath := []string{}
			list, _ := o["parameters"].([]any)
			for _, p := range list {
				p := p.(object)
				require.NotEmpty(t, p["schema"], "%s: %s", at, p["name"])
				require.Contains(t, []any{"path", "query", "header"}, p["in"], at)
				if p["in"] == "path" {
					require.Equal(t, true, p["required"], "%s: %s", at, p["name"])
					inPath = append(inPath, "{"+p["name"].(string)+"}")
				}
			}
			for part := range strings.SplitSeq(path, "/") {
				require.Equal(t, strings.HasPrefix(part, "{"), slices.Contains(inPath, part), "%s: %s", at, part)
			}
		}
	}
}

// TestUndescribedAnswersAreNoticed shows that the wrapper of all other tests
// objects to what is not promised.
func TestUndescribedAnswersAreNoticed(t *testing.T) {
	s := newService(t)
	for name, c := range map[string]struct {
		status     int
		kind, body string
	}{
		"another field":               {200, "application/json", `{"status":"alive","version":"1"}`},
		"a field of another type":     {200, "application/json", `{"status":1}`},
		"another kind of answer":      {200, "text/html", "alive"},
		"an error that is text":       {503, "text/plain", "down"},
		"a problem of another status": {503, "application/problem+json", `{"type":"https://github.com/forensic-custody/custody/problems/internal","title":"x","status":500}`},
		"a problem of no kind":        {503, "application/problem+json", `{"type":"about:blank","title":"x","status":503}`},
	} {
		t.Run(name, func(t *testing.T) {
			d := described{t, s.description(), s.api.Routes(), answering{c.status, c.kind, c.body}}
			q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://custody.example/livez", nil)
			require.NoError(t, err)
			_, err = d.RoundTrip(q)
			require.Error(t, err)
		})
	}
}

// answering answers everything alike.
type answering struct {
	status     int
	kind, body string
}

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {a.kind}}, Body: io.NopCloser(strings.NewReader(a.body)),
	}, nil
}
