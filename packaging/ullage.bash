# bash completion for ullage(1)

# Names of images, as short as they may be typed.
_ullage_images() {
	timeout 2 "$@" images --quiet 2>/dev/null |
		sed 's,^docker\.io/library/,,; s,^docker\.io/,,'
}

# The first column of a list, whole whatever the terminal's width.
_ullage_column() {
	COLUMNS=1000 timeout 2 "$@" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# Offer words that begin like the current one. Bash breaks words at colons:
# what stands before the last one is there already.
_ullage_words() {
	local word before=
	[[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && before=${cur%:*}:
	while IFS= read -r word; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("${word#"$before"}")
	done < <(printf '%s\n' $1)
}

_ullage_files() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

# What follows an option that takes a value; false: it takes none.
_ullage_value() {
	case $1 in
	--state)
		_ullage_files -d
		;;
	--plan | --output | -o | --config | --socket)
		_ullage_files -f
		;;
	--store)
		_ullage_words 'embedded oci:'
		;;
	--sort | -s)
		_ullage_words 'name unique shared packed unpacked allocated
			created used'
		;;
	--filter)
		compopt -o nospace 2>/dev/null
		_ullage_words 'until= unused-for= label= label!= reference='
		;;
	--platform)
		_ullage_words 'linux/amd64 linux/arm64 linux/arm/v7 linux/386
			linux/ppc64le linux/riscv64 linux/s390x'
		;;
	--namespace | --as-of | --grace | --last | --name | --expire | --label)
		;;
	*)
		return 1
		;;
	esac
}

_ullage_options() {
	local shared='--store --state --config --namespace --json --quiet --no-service
		--as-of --grace --now --exclusive --orphans --help'

	case $1 in
	'') echo "$shared --version" ;;
	df) echo "$shared --verbose --measure" ;;
	images) echo "$shared --sort" ;;
	gc) echo "$shared --dry-run --output --plan" ;;
	prune) echo "$shared --dry-run --yes --all --untagged --filter --policy --plan
		--output" ;;
	history) echo "$shared --last" ;;
	tag) echo "$shared --replace" ;;
	lease) echo "$shared --expire --flat --label" ;;
	snapshot) echo "$shared --label" ;;
	import) echo "$shared --name --replace --unpack --verify" ;;
	export) echo "$shared --output" ;;
	unpack) echo "$shared --platform" ;;
	verify) echo "$shared --deep --repair" ;;
	serve) echo "$shared --socket" ;;
	*) echo "$shared" ;;
	esac
}

# Operands of a command.
_ullage_operands() {
	local command=$1 sub=$2 count=$3
	local leases='create add remove delete list'
	local snapshots='prepare view commit remove list usage mounts'

	case $command in
	why | prune | tag | untag | pin | unpin | export | unpack)
		_ullage_words "$(_ullage_images "${ullage[@]}")"
		;;
	import)
		_ullage_files -f
		;;
	lease | snapshot)
		local list=leases
		[[ $command == snapshot ]] && list=snapshots
		if ((count == 0)); then
			_ullage_words "${!list}"
		elif [[ $command$sub == leaseadd && $count -gt 1 ||
			$sub == prepare && $count -gt 1 ||
			$sub == view && $count -gt 1 ]]; then
			_ullage_words "$(_ullage_images "${ullage[@]}")"
		elif [[ $sub != create && $sub != list ]]; then
			_ullage_words "$(_ullage_column "${ullage[@]}" \
				"$command" list)"
		fi
		;;
	help)
		_ullage_words "$commands"
		;;
	esac
}

_ullage() {
	local commands='df images why gc prune undo history tag untag pin unpin
		lease snapshot import export unpack verify serve help'
	local cur=${COMP_LINE:0:COMP_POINT} ullage=("$1") words word
	local command= sub= count=0 previous=

	COMPREPLY=()
	read -ra words <<<"$cur"
	[[ $cur == *[[:space:]] ]] && cur= || cur=${words[-1]}
	[[ -z $cur ]] || unset 'words[-1]'
	for word in "${words[@]:1}"; do
		case $previous in
		--state | --config) ullage+=("$previous" "$word") ;;
		esac
		if _ullage_value "$previous" >/dev/null; then
			previous=
			continue
		fi
		previous=$word
		case $word in
		-*) ;;
		*)
			if [[ -z $command ]]; then
				command=$word
			else
				[[ $count -eq 0 ]] && sub=$word
				((count++))
			fi
			;;
		esac
	done
	COMPREPLY=()
	if _ullage_value "$previous"; then
		return
	fi
	if [[ $cur == -* ]]; then
		_ullage_words "$(_ullage_options "$command")"
	elif [[ -z $command ]]; then
		_ullage_words "$commands"
	else
		_ullage_operands "$command" "$sub" "$count"
	fi
}

complete -F _ullage ullage
