#!/bin/sh
# Checks a running proxy from outside: ./validate-deployment.sh URL [--key KEY] [--admin TOKEN] [--no-store]
#
# The environment may hold KEY and ADMIN instead: every user of this machine can read arguments.
# Needs curl and a POSIX shell only. Prints a line for each check and a summary. The exit status is the
# number of the first check that failed (0: all passed, 255: wrong usage). --no-store: the deployment has
# RESPONSES_STORE=off.
set -u

usage() {
  echo "usage: $0 URL [--key KEY] [--admin TOKEN] [--no-store]" >&2
  exit 255
}

URL= KEY=${KEY-} ADMIN=${ADMIN-} STORE=on
while [ $# -gt 0 ]; do
  case $1 in
    --key) [ $# -ge 2 ] || usage; KEY=$2; shift 2 ;;
    --admin) [ $# -ge 2 ] || usage; ADMIN=$2; shift 2 ;;
    --no-store) STORE=off; shift ;;
    -*) usage ;;
    *) [ -z "$URL" ] || usage; URL=${1%/}; shift ;;
  esac
done
[ -n "$URL" ] || usage
command -v curl >/dev/null || { echo "curl is not installed" >&2; exit 255; }

dir=$(mktemp -d) || exit 255
issued=  # the id of a key that is still to be revoked
finish() {
  [ -z "$issued" ] || send admin DELETE "/admin/keys/$issued"
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# prove KEY: writes a key as curl reads it from a file, since every user of this machine can read arguments
prove() {
  printf 'header = "Authorization: Bearer %s"\n' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"
}
: >"$dir/no_key"; : >"$dir/caller"; : >"$dir/admin"; : >"$dir/wrong"; : >"$dir/issued"
chmod 600 "$dir"/*
[ -z "${KEY:-$ADMIN}" ] || prove "${KEY:-$ADMIN}" >"$dir/caller"
[ -z "$ADMIN" ] || prove "$ADMIN" >"$dir/admin"
prove not-a-key-of-this-proxy >"$dir/wrong"

number=0 passed=0 first=0
status= body=

# send ROLE METHOD PATH [curl's arguments]: sends a request with the role's key; sets $status and $body
send() {
  role=$1 method=$2 path=$3; shift 3
  : >"$dir/body"
  status=$(curl -sS -m 120 -K "$dir/$role" -X "$method" -o "$dir/body" -D "$dir/head" \
    -w '%{http_code}' "$@" "$URL$path" 2>"$dir/error") || status="000 ($(head -n 1 "$dir/error"))"
  body=$(tr -d '\000' 2>/dev/null <"$dir/body")
}

post() {
  role=$1 path=$2 data=$3; shift 3
  send "$role" POST "$path" -H 'content-type: application/json' --data-binary "$data" "$@"
}

# check NAME STATUS [TEXT]...: checks that the last answer has the status and contains the texts
check() {
  name=$1 expected=$2; shift 2
  number=$((number + 1))
  fault=
  case " $expected " in *" $status "*) ;; *) fault="status $status instead of $expected" ;; esac
  for text in "$@"; do
    [ -z "$fault" ] || break
    case $body in *"$text"*) ;; *) fault="no $text in the answer" ;; esac
  done
  case $body in *Traceback*|*'File "/'*|*PythonError*) fault="a traceback in the answer" ;; esac
  if [ -z "$fault" ]; then
    passed=$((passed + 1))
    printf 'ok    %2d  %s\n' "$number" "$name"
  else
    [ "$first" -ne 0 ] || first=$number
    printf 'FAIL  %2d  %s: %s\n' "$number" "$name" "$fault"
    [ -z "$body" ] || printf '%s\n' "$body" | head -c 300 | sed 's/^/            /'
    [ -z "$body" ] || echo
  fi
}

has_header() {
  grep -iq "^$1: *$2" "$dir/head"
}

question='What is the capital of France? Answer in one short sentence.'
native='{"prompt":"'$question'","maxTokens":24}'
openai='{"model":"auto","max_tokens":24,"messages":[{"role":"user","content":"'$question'"}]}'
messages=$openai  # both dialects have these fields
responses='{"model":"auto","max_output_tokens":24,"input":"'$question'"}'

send no_key GET /health
check 'GET /health' 200 '"status":"ok"' '"version"'
case $status in 000*)
  echo "Nothing answers at $URL. Is the address right, and is the Worker deployed?" >&2
  exit 1 ;;
esac

# Only a proxy in development may be open, and only to who does not come with a key.
open=no
[ -n "$KEY$ADMIN" ] || case $body in *'"environment":"development"'*)
  post wrong /v1/generate '{}'
  [ "$status" = 401 ] || open=yes ;;
esac
if [ "$open" = no ]; then
  post no_key /v1/generate "$native"
  check 'a request without a key is refused' 401 '"authentication_failed"'
  post wrong /v1/generate "$native"
  check 'a wrong key is refused' 401 '"authentication_failed"'
  post wrong /v1/chat/completions "$openai"
  check 'a wrong key is refused in OpenAI'\''s form' 401 '"invalid_api_key"'
  post wrong /v1/messages "$messages"
  check 'a wrong key is refused in Anthropic'\''s form' 401 '"type":"error"' '"authentication_error"'
  post wrong /v1/responses "$responses"
  check 'a wrong key is refused by Responses' 401 '"invalid_api_key"'
  send wrong GET /v1/models
  check 'the list of models needs a key' 401 '"error"'
  send wrong GET /health/providers
  check 'the providers'\'' health needs a key' 401 '"authentication_failed"'
fi

send caller GET /v1/models
check 'GET /v1/models' 200 '"object":"list"' '"id":"auto"'
send caller GET /v1/models -H 'anthropic-version: 2023-06-01'
check 'GET /v1/models in Anthropic'\''s form' 200 '"type":"model"' '"id":"auto"' '"has_more":false'
send caller GET '/v1/models?client_version=1'
check 'GET /v1/models in Codex'\''s form' 200 '"models":[' '"slug":"auto"'
send caller GET /v1/models/auto
check 'GET /v1/models/auto' 200 '"id":"auto"'
send caller GET /v1/models/no-such-model
check 'an unknown model is not found' 404 '"model_not_found"'
send caller GET /health/providers
check 'GET /health/providers' 200 '"providers":['

post caller /v1/generate "$native"
check 'POST /v1/generate' 200 '"success":true' '"provider"' '"usage"' '"requestId"'
post caller /v1/generate '{"prompt":"'"$question"'","maxTokens":24,"stream":true}' -N
check 'POST /v1/generate, streaming' 200 'event: delta' 'event: done'
post caller /v1/chat/completions "$openai"
check 'POST /v1/chat/completions' 200 '"choices"' '"finish_reason"'
post caller /v1/chat/completions "${openai%?},\"stream\":true}" -N
check 'POST /v1/chat/completions, streaming' 200 'data: {' 'data: [DONE]'

send no_key HEAD / -I
check 'HEAD / says that the proxy is there' 200
post caller /v1/messages "$messages"
has_header request-id . || status="$status without request-id"
check 'POST /v1/messages' 200 '"type":"message"' '"stop_reason"' '"input_tokens"'
post caller /v1/messages "${messages%?},\"stream\":true}" -N
check 'POST /v1/messages, streaming' 200 'event: message_start' 'event: message_stop'
post caller /v1/messages/count_tokens "$messages"
check 'POST /v1/messages/count_tokens' 200 '"input_tokens":'
post caller /v1/messages '{"model":"auto","messages":[]}'
check 'an error in Anthropic'\''s form' 400 '"type":"error"' '"invalid_request_error"'

post caller /v1/responses "${responses%?},\"stream\":true}" -N
check 'POST /v1/responses, streaming' 200 'event: response.created' 'response.output_item.added'
post caller /v1/responses/input_tokens "$responses"
check 'POST /v1/responses/input_tokens' 200 '"input_tokens":'
post caller /v1/responses "$responses"
check 'POST /v1/responses' 200 '"response"' '"output"' '"usage"'
# A provider's own answer may have a space after the colon.
response=$(printf '%s' "$body" | grep -o '"id": *"[^"]*"' | head -n 1 | cut -d '"' -f 4)
sleep 1
send caller GET "/v1/responses/$response"
if [ "$STORE" = off ]; then
  check 'no response is kept' 404 '"error"'
else
  check 'the response is kept' 200 "$response"
  send caller GET "/v1/responses/$response/input_items"
  check 'so is its input' 200 '"object":"list"' "$question"
  send caller DELETE "/v1/responses/$response"
  check 'a kept response is deleted' 200 '"deleted":true'
  send caller GET "/v1/responses/$response"
  check 'it is gone then' 404 '"error"'
fi

kept='{"prompt":"'$question'","maxTokens":24,"cache":{"ttl":60}}'
post caller /v1/generate "$kept"
sleep 1
post caller /v1/generate "$kept"
has_header cf-aig-cache-status HIT || status="$status, but no hit"
check 'the same again comes from the cache' 200 '"cacheStatus":"hit"'
post caller /v1/generate "$kept" -H 'Cache-Control: no-store'
has_header cf-aig-cache-status BYPASS || status="$status, but from the cache"
check 'Cache-Control: no-store keeps the cache out' 200
if [ -n "$ADMIN" ]; then
  send admin DELETE '/admin/cache?key=validate'
  check 'the admin token may purge the cache' 204
  if [ -n "$KEY" ]; then
    send caller DELETE '/admin/cache?key=validate'
    check 'a caller may not purge it' 403 '"permission_denied"'
  fi
fi

post caller /v1/batch '{"requests":['"$kept"',{"prompt":""}]}'
check 'POST /v1/batch: each its own success or error' 200 '"succeeded":1' '"failed":1'
post caller /v1/generate "$native" -H 'Cache-Control: no-store'
has_header ratelimit '"provider:' || status="$status without RateLimit"
check 'an answer names the limit that it counted against' 200

if [ -n "$ADMIN" ]; then
  send admin GET /admin/breakers
  check 'GET /admin/breakers' 200 '"breakers":{'
  post admin /admin/aliases '{"name":"validate-deployment","targets":[{"model":"custom/none"}]}'
  check 'an alias names models' 400 'targets[0].model'
  send admin DELETE /admin/aliases/validate-deployment
  post admin /admin/aliases '{"name":"validate-deployment","targets":[{"model":"auto"}]}'
  check 'an alias is made' 201 '"strategy":"priority"'
  send admin GET /admin/aliases/validate-deployment
  check 'an alias is shown' 200 '"name":"validate-deployment"'
  send admin DELETE /admin/aliases/validate-deployment
  check 'an alias is deleted' 204
  post admin /admin/keys '{"user":"validate","name":"validate-deployment","limits":{"requestsPerMinute":2}}'
  check 'a key is issued' 201 '"key":"aep_' '"user":"validate"'
  secret=$(printf '%s' "$body" | sed 's/.*"key":"\([^"]*\)".*/\1/')
  id=$(printf '%s' "$body" | sed 's/.*"id":"\([^"]*\)".*/\1/')
  [ "$status" != 201 ] || issued=$id
  prove "$secret" >"$dir/issued"
  send issued GET /admin/keys
  check 'an issued key is no operator'\''s' 403 '"permission_denied"'
  post issued /v1/generate "$kept"
  check 'an issued key works at once' 200 '"success":true'
  post issued /v1/generate "$kept"
  post issued /v1/generate "$kept"
  has_header retry-after '[1-9]' || status="$status without Retry-After"
  check 'its limit holds' 429 '"rate_limit_exceeded"' '"requests_per_minute"'
  send admin GET '/admin/keys?limit=1'
  check 'keys are listed page by page' 200 '"keys":[{' '"next":'
  send admin GET "/admin/keys/$id"
  case $body in *"$secret"*) status="$status with the secret" ;; esac
  check 'a key is shown without its secret' 200 "$id"
  send admin DELETE "/admin/keys/$id"
  check 'a key is revoked' 204
  [ "$status" != 204 ] || issued=
  post issued /v1/generate "$kept"
  check 'a revoked key is refused' 401 '"authentication_failed"'
fi

send caller GET /me
check 'who is asking, and in which role' 200 '"role":"' '"via":"'
if [ -n "$ADMIN" ]; then
  send admin GET /me
  check 'the admin token is the operator'\''s' 200 '"role":"admin"'
  send admin GET /admin/settings
  case $body in *"$ADMIN"*) status="$status with the token" ;; esac
  check 'the settings in force, without secrets' 200 '"name":"ADMIN_TOKEN"'
  send admin GET /admin/budgets
  check 'GET /admin/budgets' 200 '"budgets"'
fi
send caller GET '/analytics?window=1h&group_by=endpoint'
check 'figures' 200 '"groups"' '"endpoint":"/v1/' '"total"'
send caller GET '/analytics?window=soon'
check 'a wrong window is named' 400 '"invalid_request"' 'window'
send caller GET '/analytics/requests?limit=1'
check 'the request log' 200 '"requests"' '"requestId"' '"next"'
send caller GET /analytics/insights
check 'insights' 200 '"insights"' '"sample"'
send no_key GET /setup
check 'the page that says how agents are pointed here' 200 '<html' 'ANTHROPIC_BASE_URL'
send no_key GET /openapi.json
has_header content-type 'application/json' || status="$status of another type"
check 'the description of the interface' 200 '"openapi":"3.1.0"' '"/v1/generate"'
send no_key GET /docs
check 'the page that shows it' 200 '<html' '/docs/docs.js'
send no_key GET /dashboard
check 'the dashboard' 200 '<html'
has_header content-security-policy ".*default-src 'none'" || { status="200 without a policy"; check 'its Content-Security-Policy' 200; }
if [ -n "$ADMIN" ]; then
  send admin GET /metrics
  check 'metrics' 200 'proxy_requests_total{' '# TYPE proxy_request_duration_seconds histogram'
fi

post caller /v1/generate '{"prompt":"hi","temprature":1}'
check 'an unknown field is named' 400 '"invalid_request"' 'temprature'
post caller /v1/generate '{"prompt":"hi","maxTokens":0}'
check 'a value out of range is named' 400 'maxTokens'
post caller /v1/generate 'this is not JSON'
check 'a body that is not JSON' 400 '"invalid_request"'
post caller /v1/chat/completions '{"model":"auto","messages":[{"role":"user"'
check 'a body cut off, in OpenAI'\''s form' 400 '"invalid_request_error"'
post caller /v1/generate '[[[[[[[[1]]]]]]]]'
check 'a body that is no object' 400 '"invalid_request"'
head -c 2000 /dev/urandom >"$dir/noise"
send caller POST /v1/chat/completions -H 'content-type: application/json' --data-binary "@$dir/noise"
check 'random bytes' 400 '"error"'
send caller POST /v1/generate -H 'content-type: text/plain' --data-binary "$native"
check 'a body that is said to be text' 415 '"unsupported_media_type"'
send caller GET /v1/generate
check 'a wrong method' 405 '"method_not_allowed"'
has_header allow '.*POST' || { status="405 without Allow"; check 'the Allow header' 405; }
send caller POST '/no/such/path?x=%00%ff' --data-binary x
check 'a path that is not there' 404 '"not_found"'
send caller GET /p/nobody/models
check 'a provider that is none' 404 '"error"'
send caller GET /health -H 'X-Request-Id: validate-1'
has_header x-request-id validate-1 || status="$status without X-Request-Id"
check 'a request id is kept' 200
send caller OPTIONS /v1/generate
check 'OPTIONS needs no key' 204

echo "$passed of $number checks passed: $URL"
exit "$first"
