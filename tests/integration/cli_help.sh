#!/usr/bin/env bash
# Help of every command: as it was when somebody looked at it, within 80
# columns, the same by every way to ask for it; and the manual page and the
# completion know every command and every option of it.
. "$(dirname "$0")/cli_lib.sh"

commands=$(ullage --help |
	sed -n '/^Commands:/,/^$/s/^  \([a-z]*\)  .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 16 ] || fail "too few commands: $commands"

subcommands() {
	ullage help "$1" | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\)  .*/\1/p'
}

all_help() {
	local command sub
	ull --help
	for command in $commands; do
		ull help "$command"
		for sub in $(subcommands "$command"); do
			ull help "$command" "$sub"
		done
	done
}
all_help >"$WORK/help"
golden cli_help <"$WORK/help"

wide=$(awk 'length($0) > 80' "$WORK/help" | grep -v '^\$ ')
[ -z "$wide" ] || fail "wider than 80 columns: $wide"
grep -nE ' +$' "$WORK/help" && fail "blanks at the end of a line"

# A narrow terminal breaks the lines elsewhere, and loses no word.
for columns in 40 60 200; do
	COLUMNS=$columns ullage --help | tr -s ' \n' '\n' |
		diff -q - <(ullage --help | tr -s ' \n' '\n') >/dev/null ||
		fail "--help at $columns columns has other words"
done
COLUMNS=40 ullage help prune | sed '/^Examples/,$d' | grep -v '`' |
	awk 'length($0) > 62 { print; bad = 1 } END { exit bad }' ||
	fail "help prune does not fit a narrow terminal"

for command in $commands; do
	diff <(ullage help "$command") <(ullage "$command" --help) >/dev/null ||
		fail "$command --help is not help $command"
	[ -n "$(subcommands "$command")" ] ||
		diff <(ullage help "$command") <(ullage "$command" x -h) \
			>/dev/null || fail "$command x -h is not its help"
	ullage help "$command" | grep -q '^Examples:$' ||
		fail "$command has no example"
	for sub in $(subcommands "$command"); do
		diff <(ullage help "$command" "$sub") \
			<(ullage "$command" "$sub" --help) >/dev/null ||
			fail "$command $sub --help is not its help"
		ullage help "$command" "$sub" | grep -q '^Examples:$' ||
			fail "$command $sub has no example"
	done
done
diff <(ullage --help) <(ullage help) || fail "help is not --help"
diff <(ullage --help) <(ullage -h) || fail "-h is not --help"
diff <(ullage --help) <(ullage-transfer --help) ||
	fail "the two programs do not list the same"
[[ $(ullage --version) =~ ^ullage\ [0-9]+\.[0-9]+\.[0-9]+$ ]] ||
	fail "--version: $(ullage --version)"

# The manual page.
page=$SOURCE/docs/man/ullage.1
warnings=$(MANWIDTH=80 man -l --warnings "$page" 2>&1 >"$WORK/page.raw")
[ -z "$warnings" ] || fail "the manual page: $warnings"
MANWIDTH=80 MANROFFOPT= man -l "$page" | col -bx >"$WORK/page"
for section in NAME SYNOPSIS DESCRIPTION COMMANDS OPTIONS 'EXIT STATUS' JSON \
	ENVIRONMENT FILES EXAMPLES 'SEE ALSO'; do
	grep -qx "$section" "$WORK/page" || fail "no section $section"
done
warnings=$(MANWIDTH=80 man -l --warnings "$page" "$(dirname "$page")/ullage.json.5" \
	2>&1 >/dev/null)
[ -z "$warnings" ] || fail "the page of the configuration: $warnings"
version=$(ullage --version)
grep -q "\"$version\"" "$(dirname "$page")/ullage.json.5" ||
	fail "the page of the configuration is not that of $version"
grep -q "\"$version\"" "$page" || fail "the page is not that of $version"

options_of() {
	grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '-[-a-z]+' | sort -u
}

# The part of the page about one command, and completion's options for it.
part() {
	awk -v title="   ullage $1" '
		index($0, title) == 1 { on = 1; print; next }
		/^   ullage / || /^[A-Z]/ { on = 0 }
		on' <(sed -E 's/ +/ /g; s/^ ullage/   ullage/' "$WORK/page")
}
# shellcheck disable=SC1091
. "$SOURCE/packaging/ullage.bash"

known() { # COMMAND WORDS OPTIONS
	local option page_part=$2
	for option in $3; do
		grep -qE -- "(^| )$option(,| |$)" <<<"$page_part" ||
			fail "the page does not know $1 $option"
		[[ $option != --* ]] || grep -qw -- "$option" \
			<<<"$(_ullage_options "${1%% *}" | tr -s ' \n\t' '\n')" ||
			fail "the completion does not know $1 $option"
	done
}

known '' "$(sed -n '/^OPTIONS/,/^EXIT/p' "$WORK/page")" \
	"$(ullage --help | options_of)"
offered() {
	COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n:=' _ullage ullage
	printf '%s\n' "${COMPREPLY[@]}"
}
for command in $commands; do
	offered 'ullage ' | grep -qx "$command" ||
		fail "the completion does not know $command"
	subs=$(subcommands "$command")
	for sub in $subs; do
		known "$command $sub" "$(part "$command $sub")" \
			"$(ullage help "$command" "$sub" | options_of)"
		offered "ullage $command " | grep -qx "$sub" ||
			fail "the completion does not know $command $sub"
	done
	[ -n "$subs" ] && continue
	[ -n "$(part "$command")" ] || fail "the page does not know $command"
	known "$command" "$(part "$command")" \
		"$(ullage help "$command" | options_of)"
	# Nor has it options that are gone.
	for option in $(_ullage_options "$command"); do
		(ullage --help; ullage help "$command") |
			grep -q -- " $option\( \|$\)" ||
			fail "the completion's $command $option is gone"
	done
done

# It offers names, and what follows their colon alone.
ullage import --quiet "$(sample docker-save-three-images.tar)" >/dev/null
[ "$(offered 'ullage untag app:' | sort | xargs)" = '1 2' ] ||
	fail "completion of app: is $(offered 'ullage untag app:')"
[ "$(offered 'ullage why base')" = base:1 ] || fail "completion of base"
exit $failed
