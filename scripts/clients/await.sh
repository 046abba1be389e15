# For sourcing: await_server N waits until the server of process $server, whose log is
# $work/serve.log, answers, N fifths of a second at most, and leaves its address in $url.
await_server() {
	for i in $(seq "$1"); do
		url=$(sed -n 's/.*listening at //p' "$work/serve.log")
		[ -n "$url" ] && curl -fs "$url/health" >/dev/null && return
		kill -0 "$server" || { cat "$work/serve.log" >&2; exit 1; }
		sleep 0.2
	done
	cat "$work/serve.log" >&2
	echo "the server does not answer" >&2
	exit 1
}
