#!/bin/sh
# Opens report pages in headless Chromium, at the widths of a desktop and a phone,
# light and dark: screenshots into DIR, and an error for anything on the console,
# anything fetched, or a page wider than its window.
#
#   scripts/report_browser.sh DIR FILE.html...
#
# Needs chromium (apt-get install chromium) and python3.
set -eu
[ $# -ge 2 ] || { echo "usage: $0 DIR FILE.html..." >&2; exit 2; }
dir=$1; shift
mkdir -p "$dir"
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
browser() {
	timeout 90 "${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --disable-background-networking \
		--disable-component-update --no-first-run --hide-scrollbars --user-data-dir="$profile" --enable-logging=stderr --v=0 "$@"
}
bad=0
for page in "$@"; do
	name=$(basename "$page" .html)
	url="file://$(cd "$(dirname "$page")" && pwd)/$(basename "$page")"
	for shape in desktop:1280:900 phone:390:844; do
		kind=${shape%%:*}; rest=${shape#*:}; w=${rest%%:*}; h=${rest#*:}
		# A frame of the wanted width, since a window has a least width; the frame says how wide and tall its page is.
		cat >"$profile/frame.html" <<HTML
<!DOCTYPE html><body style="margin:0"><iframe id="f" src="$url" style="border:0;width:${w}px;height:${h}px"></iframe>
<script>f.onload=()=>{const d=f.contentDocument.documentElement;document.title="size "+d.scrollWidth+" "+d.scrollHeight+" scripts "+f.contentDocument.scripts.length+" fetched "+f.contentWindow.performance.getEntriesByType("resource").length}</script>
HTML
		size=$(browser --allow-file-access-from-files --window-size="$w,$h" --virtual-time-budget=4000 --dump-dom "file://$profile/frame.html" 2>"$profile/log" | sed -n 's/.*<title>size \(.*\)<\/title>.*/\1/p')
		[ -n "$size" ] || { echo "$name $kind: the page did not load" >&2; exit 1; }
		read -r wide tall _ scripts _ fetched <<SIZE
$size
SIZE
		if [ "$wide" -gt "$w" ]; then echo "$name $kind: the page is $wide wide in a window of $w" >&2; bad=1; fi
		if [ "$scripts $fetched" != "0 0" ]; then echo "$name $kind: $scripts scripts, $fetched files fetched" >&2; bad=1; fi
		for scheme in light dark; do
			dark=; [ $scheme = light ] || dark=--blink-settings=preferredColorScheme=0
			sed "s|;height:${h}px|;height:${tall}px|; /<script>/d" "$profile/frame.html" >"$profile/shot.html"
			browser --allow-file-access-from-files $dark --window-size="$w,$tall" --virtual-time-budget=4000 \
				--screenshot="$dir/$name-$kind-$scheme.png" "file://$profile/shot.html" >/dev/null 2>"$profile/log2"
			cat "$profile/log2" >>"$profile/log"
		done
		if grep -E 'CONSOLE|Refused to|net::ERR' "$profile/log"; then echo "$name $kind: the console is not empty" >&2; bad=1; fi
		echo "$name $kind: $wide x $tall, $scripts scripts, $fetched files fetched"
	done
done
exit $bad
