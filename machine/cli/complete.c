/* Where in the command line is the cursor, and what may stand there: see complete.h. */
#include "complete.h"

#include "log.h"
#include "mem.h"
#include "output.h"
#include "plugin.h"

#include <string.h>

static const struct cli_flag help_flag = FLAG_B("help", "h", NULL, "show help");

void offer(struct completion *c, const char *value, const char *text)
{
	_cleanup_free_ char *clean_value = output_clean(value);
	_cleanup_free_ char *clean_text = output_clean(text ? text : "");

	buf_addf(&c->out, "%s\t%s\n", clean_value, clean_text);
}

/* "--name=value" or "-name" is the flag; ret_value: what follows '=', or NULL. */
static const struct cli_flag *find_flag(
	const struct spot *s, const char *word, const char **ret_value)
{
	const char *name = word + (word[0] == '-') + (word[0] == '-' && word[1] == '-');
	size_t len = strcspn(name, "=");

	*ret_value = name[len] ? name + len + 1 : NULL;
	for (size_t i = 0; i < s->n_flags; i++) {
		const char *const names[] = {s->flags[i].spec.name, s->flags[i].alias};
		for (size_t k = 0; k < ARRAY_SIZE(names) && names[k]; k++)
			if (strncmp(names[k], name, len) == 0 && !names[k][len])
				return &s->flags[i];
	}
	return NULL;
}

static bool is_flag(const struct spot *s, const char *word)
{
	return !s->no_flags && word[0] == '-' && word[1];
}

/* Walks over flags and operands from word i on; with `first`, up to the first operand. Returns the
 * index of the word where it ended: that, or the last. */
static size_t walk(struct spot *s, const struct strv *words, size_t i, bool first)
{
	for (; i + 1 < words->n; i++) {
		const char *w = words->items[i], *value;
		if (!s->no_flags && streq(w, "--")) {
			s->no_flags = true;
		} else if (is_flag(s, w)) {
			const struct cli_flag *f = find_flag(s, w, &value);
			strv_add(&s->given, f ? f->spec.name : w);
			if (!f || f->spec.type == FLAG_BOOL || value)
				continue;
			i++;
			if (i + 1 == words->n)
				s->value = f;
		} else if (first) {
			break;
		} else {
			strv_add(&s->operands, w);
			/* the parser stops at an operand that follows a flag (flags.c) */
			s->no_flags = s->no_flags || s->given.n;
		}
	}
	return MIN(i, words->n - 1);
}

/* The word itself: the value of "--flag=value" is a value, too. */
static void look_at_word(struct spot *s, const char *word)
{
	const char *value;

	s->word = word;
	if (s->value || !is_flag(s, word) || !strchr(word, '='))
		return;
	s->value = find_flag(s, word, &value);
	if (s->value)
		s->word = value;
	s->joined = true;
}

static char *store_of(const struct completion *c, const struct strv *globals)
{
	struct parsed p = {0};
	_cleanup_err_ struct err e = ERR_INIT;
	const char *home = getenv("HOME");
	char *path = NULL;

	if (flags_parse(cli_globals, cli_n_globals + 1, globals, false, &p, &e) == 0)
		path = xstrdup(parsed_str(&p, "storage-path"));
	parsed_finish(&p);
	if (!path || !*path) {
		free(path);
		return cli_store_path(c->cli);
	}
	/* what the shell would have made of it */
	char *expanded = path[0] == '~' && path[1] == '/' && home
				 ? xasprintf("%s%s", home, path + 1)
				 : xstrdup(path);
	free(path);
	return expanded;
}

static void open_store_of(struct completion *c, size_t n_globals)
{
	_cleanup_err_ struct err e = ERR_INIT;
	_cleanup_strv_ struct strv globals = STRV_INIT;

	for (size_t i = 0; i < n_globals; i++)
		strv_add(&globals, c->words.items[i]);
	_cleanup_free_ char *path = store_of(c, &globals);
	if (!*path || store_open(path, &c->store, &e) < 0)
		c->store = NULL;
}

static void offer_flag(struct completion *c, const struct cli_flag *f)
{
	const struct spot *s = c->spot;
	const char *const names[] = {f->spec.name, f->alias};

	if (f->spec.type != FLAG_LIST && strv_contains(&s->given, f->spec.name))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names) && names[i]; i++) {
		_cleanup_free_ char *name = xasprintf("%s%s", names[i][1] ? "--" : "-", names[i]);
		if (strncmp(name, s->word, strlen(s->word)) == 0)
			offer(c, name, f->spec.usage);
	}
}

static void offer_flags(struct completion *c)
{
	for (size_t i = 0; i < c->spot->n_flags; i++)
		offer_flag(c, &c->spot->flags[i]);
	offer_flag(c, &help_flag);
}

static void offer_commands(struct completion *c)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (!cli_commands[i]->hidden)
			offer(c, cli_commands[i]->name, cli_commands[i]->summary);
}

/* Candidates are whole words, as typed: those of --flag=value begin with "--flag=". */
static void join_values(struct completion *c, const char *word)
{
	_cleanup_buf_ struct buf values = c->out;
	size_t len = strcspn(word, "=") + 1;

	c->out = BUF_INIT;
	for (char *line = values.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		buf_addf(&c->out, "%.*s%s\n", (int)len, word, line);
	}
}

static void answer(struct completion *c)
{
	const struct spot *s = c->spot;
	const char *word = c->words.items[c->words.n - 1];

	if (s->value) {
		offer_values(c, s->path, s->value->spec.name, OFFER_FIRST);
		if (s->joined)
			join_values(c, word);
	} else if (is_flag(s, word) || (!s->no_flags && streq(word, "-"))) {
		if (!s->joined)
			offer_flags(c);
	} else if (!s->cmd || streq(s->path, cmd_help.name)) {
		if (!s->operands.n)
			offer_commands(c);
	} else {
		/* what is about one machine is about many as JSON */
		bool first = !s->operands.n || strv_contains(&s->given, "json");
		offer_values(c, s->path, NULL, first ? OFFER_FIRST : OFFER_REST);
	}
}

/* Flags that the tables do not have: those of a driver, of the program of `image`. */
static struct cli_flag *more_flags(struct completion *c, const struct spot *s, size_t at, size_t *n)
{
	bool flag = false;

	for (size_t i = at; i < c->words.n; i++)
		flag = flag || c->words.items[i][0] == '-';
	if (s->cmd == &cmd_create && flag) /* a driver is asked only then */
		return create_flags(c->co, c->cli, &c->words, n);
	if (s->cmd == &cmd_image && flag && s->path[strlen(cmd_image.name)])
		return image_flags(c, s->path + strlen(cmd_image.name) + 1, n);
	return NULL;
}

static void enter_subcommand(struct completion *c, struct spot *s, size_t *at)
{
	const char *sub = *at + 1 < c->words.n ? c->words.items[*at] : "";

	if (!*sub || *sub == '-' || !offer_has_subcommand(s->path))
		return;
	snprintf(s->path, sizeof(s->path), "%s %s", s->cmd->name, sub);
	*at += 1;
}

/* Behind the command: its own flags and operands. false: there is no such command. */
static bool enter_command(
	struct completion *c, struct spot *s, size_t at, struct cli_flag **ret_more, size_t *ret_n)
{
	s->cmd = cli_find_command(c->words.items[at++]);
	if (!s->cmd)
		return false;
	snprintf(s->path, sizeof(s->path), "%s", s->cmd->name);
	enter_subcommand(c, s, &at);
	*ret_more = more_flags(c, s, at, ret_n);
	strv_finish(&s->given);
	s->flags = *ret_more ? *ret_more : s->cmd->flags;
	s->n_flags = *ret_more ? *ret_n : s->cmd->n_flags;
	s->no_flags = s->cmd == &cmd_ssh && at + 1 < c->words.n;
	walk(s, &c->words, at, false);
	return true;
}

static void complete(struct completion *c)
{
	struct spot s = {.flags = cli_globals, .n_flags = cli_n_globals + 1};
	struct cli_flag *more = NULL;
	size_t n_more = 0, at = walk(&s, &c->words, 0, true);

	c->spot = &s;
	open_store_of(c, at);
	if (at + 1 == c->words.n || enter_command(c, &s, at, &more, &n_more)) {
		look_at_word(&s, c->words.items[c->words.n - 1]);
		answer(c);
	}
	c->spot = NULL;
	strv_finish(&s.operands);
	strv_finish(&s.given);
	if (s.cmd == &cmd_image)
		image_flags_free(more, n_more);
	else
		free(more);
}

/* Somebody is typing: whatever goes wrong, there is just nothing to offer. */
static void say_nothing(void *userdata, enum log_level level, const char *line)
{
	(void)userdata;
	(void)level;
	(void)line;
}

/* As the library of docker's client answers: candidates that begin with the word, then ":" and bits
 * of what the shell does next. */
static void print_for_docker(struct completion *c)
{
	enum { NO_SPACE = 2, NO_FILES = 4, DIRS = 16 };
	unsigned then = c->files ? 0 : c->dirs ? DIRS : NO_FILES;
	const char *word = c->words.items[c->words.n - 1];

	for (char *line = c->out.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		size_t value = strcspn(line, "\t");
		if (strncmp(line, word, strlen(word)) != 0)
			continue;
		if (value && strchr("=:", line[value - 1]))
			then |= NO_SPACE;
		printf("%.*s\n", (int)(end - line - (line[value + 1] == '\n')), line);
	}
	printf(":%u\n", then);
}

static int run_complete(struct co *co, struct cli *cli, struct err *err)
{
	struct completion c = {.co = co, .cli = cli};
	const struct strv *args = &cli->args.args;
	bool docker = args->n >= 2 && streq(args->items[0], PLUGIN_COMMAND);

	if (args->n < 2 || (!docker && !streq(args->items[0], "--")))
		return err_set(err, ERR_USER, "Error: Expected -- and the words of a command line");
	log_set_sink(say_nothing, NULL);
	for (size_t i = 1; i < args->n; i++)
		strv_add(&c.words, args->items[i]);
	complete(&c);
	if (docker)
		print_for_docker(&c);
	else
		printf(":%s\n%s", c.files ? "files" : c.dirs ? "dirs" : "", buf_str(&c.out));
	buf_finish(&c.out);
	strv_finish(&c.words);
	store_free(c.store);
	return 0;
}

const struct command cmd_complete = {
	.name = "__complete",
	.args = "-- WORD...",
	.summary = "What may stand at the end of a command line, for completion scripts",
	.talk = TALK_STDERR,
	.raw = true,
	.only_asks = true,
	.hidden = true,
	.run = run_complete,
};
