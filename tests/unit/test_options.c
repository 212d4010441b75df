/* The command line. Each run is a process of its own, because most of them end it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "config/options.h"
#include "tests/unit/capture.h"

static char output[65536];

/* Reads the command line in a child, tells what was understood, and returns its exit
 * code; what it printed is in `output`. */
static int run(char *const *words) {
    struct capture out = capture_start(1), err = capture_start(2);
    pid_t pid = fork();
    if (pid == 0) {
        bool drain = false;
        const struct rb_switch switches[] = {
            {"drain", "end when the queues are empty", &drain}, {NULL, NULL, NULL}};
        const struct rb_program program = {
            .name = "prog", .summary = "Does things.", .switches = switches};
        char *argv[64] = {"prog"};
        int argc = 1;
        for (; words[argc - 1]; argc++)
            argv[argc] = strdup(words[argc - 1]);
        struct rb_options options;
        rb_options_read(&program, argc, argv, &options);
        printf("file=%s check=%d drain=%d", options.file ? options.file : "-",
               options.check, drain);
        for (size_t i = 0; i < options.override_count; i++)
            printf(" %s=%s", options.overrides[i].key, options.overrides[i].value);
        fflush(NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    size_t len = capture_end(&err, output, sizeof output);
    assert_true(len < sizeof output / 2);
    capture_end(&out, output + len, sizeof output - len);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define RUN(...) run((char *const[]){__VA_ARGS__, NULL})

static void understands(void **state) {
    (void)state;
    assert_int_equal(run((char *const[]){NULL}), 0);
    assert_string_equal(output, "file=- check=0 drain=0");
    assert_int_equal(
        RUN("-c", "a.yaml", "--check", "--drain", "--set", "x.y=1=2", "--set=z="), 0);
    assert_string_equal(output, "file=a.yaml check=1 drain=1 x.y=1=2 z=");
    assert_int_equal(RUN("--config=b", "--config", "-c"), 0);
    assert_string_equal(output, "file=-c check=0 drain=0");
}

static void refuses_with_64(void **state) {
    (void)state;
    static const struct {
        char *words[4];
        const char *said;
    } cases[] = {
        {{"--chek"}, "prog: unknown option \"--chek\"; did you mean \"--check\"?\n"},
        {{"--drian"}, "did you mean \"--drain\"?"},
        {{"--seet=a=b"}, "did you mean \"--set\"?"},
        {{"--xyzzy"}, "unknown option \"--xyzzy\"\n"},
        {{"file.yaml"}, "unexpected word \"file.yaml\"\n"},
        {{""}, "unexpected word \"\"\n"},
        {{"-c"}, "a value is missing behind \"-c\""},
        {{"-c", ""}, "expected a file"},
        {{"--config="}, "expected a file"},
        {{"--set"}, "a value is missing behind \"--set\""},
        {{"--set", "novalue"}, "expected KEY=VALUE behind --set, got \"novalue\""},
        {{"--set", "=x"}, "expected KEY=VALUE"},
        {{"--check=yes"}, "unknown option \"--check=yes\""},
        {{"-"}, "unknown option \"-\""},
        {{"--"}, "unknown option \"--\""},
        {{"--check", "-x"}, "unknown option \"-x\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(run(cases[i].words), RB_EXIT_USAGE);
        if (!strstr(output, cases[i].said))
            fail_msg("%s instead of %s", output, cases[i].said);
        assert_non_null(strstr(output, "Try prog --help.\n"));
    }
    char *words[2 * RB_MAX_OVERRIDES + 3] = {NULL};
    for (size_t i = 0; i < 40; i++)
        words[i] = "--set=a=b";
    assert_int_equal(run(words), 0);
}

static void too_many_overrides(void **state) {
    (void)state;
    char words[RB_MAX_OVERRIDES + 1][16];
    char *argv[RB_MAX_OVERRIDES + 3] = {"prog"};
    const struct rb_program program = {.name = "prog", .summary = ""};
    for (int i = 0; i <= RB_MAX_OVERRIDES; i++) {
        snprintf(words[i], sizeof words[i], "--set=k%d=v", i);
        argv[i + 1] = words[i];
    }
    struct rb_options options;
    argv[RB_MAX_OVERRIDES + 1] = NULL;
    rb_options_read(&program, RB_MAX_OVERRIDES + 1, argv, &options);
    assert_int_equal(options.override_count, RB_MAX_OVERRIDES);
    assert_string_equal(options.overrides[63].key, "k63");

    struct capture err = capture_start(2);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i <= RB_MAX_OVERRIDES; i++) {
            snprintf(words[i], sizeof words[i], "--set=k%d=v", i);
            argv[i + 1] = words[i];
        }
        rb_options_read(&program, RB_MAX_OVERRIDES + 2, argv, &options);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    capture_end(&err, output, sizeof output);
    assert_int_equal(WEXITSTATUS(status), RB_EXIT_USAGE);
    assert_non_null(strstr(output, "too many --set, at \"k64=v\""));
}

static void help_tells_all(void **state) {
    (void)state;
    assert_int_equal(RUN("--help"), 0);
    static const char *const parts[] = {"Usage: prog",
                                        "Does things.",
                                        "--config FILE",
                                        "--set KEY=VALUE",
                                        "--check",
                                        "--help-settings",
                                        "--version",
                                        "--drain",
                                        "end when the queues are empty",
                                        "/etc/ringback/ringback.yaml",
                                        "SIGTERM",
                                        "SIGHUP",
                                        "64",
                                        "69",
                                        "78"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(output, parts[i]))
            fail_msg("--help does not say %s", parts[i]);
    assert_int_equal(RUN("--check", "-h"), 0);
    assert_non_null(strstr(output, "Usage: prog"));
    assert_int_equal(RUN("--version"), 0);
    assert_true(strncmp(output, "prog " RINGBACK_VERSION "\nlibev ",
                        sizeof "prog " RINGBACK_VERSION "\nlibev " - 1) == 0);
    assert_int_equal(RUN("--help-settings"), 0);
    assert_non_null(strstr(output, "\nworker.lease (duration, 1s to 1h; default 10s)\n"));
    assert_int_equal(RUN("--help-settings=markdown"), 0);
    assert_non_null(strstr(output, "| `worker.lease` |"));
    assert_int_equal(RUN("--help-settings=man"), 0);
    assert_non_null(strstr(output, "\\fBworker.lease\\fR\nduration, 1s to 1h"));
    assert_int_equal(RUN("--help-settings=roff"), 64);
}

static void the_manual_tells_all(void **state) {
    (void)state;
    assert_int_equal(RUN("--help-man"), 0);
    static const char *const parts[] = {".TH PROG 8 2",
                                        "prog \\- does things\n",
                                        ".SH OPTIONS",
                                        "\\-\\-config",
                                        "\\fB\\-\\-drain\\fR\nend when",
                                        ".SH SIGNALS",
                                        ".SH EXIT CODES",
                                        "\\fB78\\fR\n",
                                        ".SH SEE ALSO"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(output, parts[i]))
            fail_msg("--help-man does not say %s", parts[i]);
}

static void completes(void **state) {
    (void)state;
    assert_int_equal(RUN("--complete", "--dr"), 0);
    assert_string_equal(output, "--drain\tend when the queues are empty\n");
    RUN("--complete", "");
    assert_non_null(strstr(output, "--config\t"));
    assert_non_null(strstr(output, "\n-V\tprint the version\n"));
    RUN("--complete", "--set", "log.");
    assert_true(strstr(output, "log.level=\tThe least") == output);
    assert_non_null(strstr(output, "\nlog.format=\t"));
    RUN("--complete", "--set", "log.level=w");
    assert_string_equal(output, "log.level=warn\t\n");
    RUN("--complete", "--set=notifier.echo=");
    assert_string_equal(output,
                        "--set=notifier.echo=true\t\n--set=notifier.echo=false\t\n");
    RUN("--complete", "--set", "worker.lease=");
    assert_string_equal(output, "");
    RUN("--complete", "-c", ""); /* a file's name */
    assert_string_equal(output, "");
    RUN("--complete");
    assert_non_null(strstr(output, "--check"));
    assert_int_equal(RUN("--check", "--complete", ""), 64);
}

static void help_that_did_not_come_out_is_a_failure(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {"prog", "--help", NULL};
        const struct rb_program program = {.name = "prog", .summary = ""};
        struct rb_options options;
        if (!freopen("/dev/full", "w", stdout))
            _exit(99);
        rb_options_read(&program, 2, argv, &options);
        _exit(98);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), RB_EXIT_FAILURE);
}

static void settings_follow(void **state) {
    (void)state;
    const struct rb_program program = {.name = "prog", .summary = ""};
    struct rb_options options = {
        .overrides = {{"log.format", "json"}, {"log.level", "warn"}},
        .override_count = 2};
    struct rb_settings *settings = rb_options_settings(&program, &options);
    assert_non_null(settings);
    assert_int_equal(settings->log.format, RB_LOG_JSON);
    assert_false(rb_log_on(RB_LOG_INFO));
    rb_settings_free(settings);

    options.overrides[0] = (struct rb_override){"log.format", "xml"};
    struct capture err = capture_start(2);
    settings = rb_options_settings(&program, &options);
    capture_end(&err, output, sizeof output);
    assert_null(settings);
    assert_string_equal(output,
                        "--set: log.format: expected text or json, got \"xml\"\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands),
        cmocka_unit_test(refuses_with_64),
        cmocka_unit_test(too_many_overrides),
        cmocka_unit_test(help_tells_all),
        cmocka_unit_test(the_manual_tells_all),
        cmocka_unit_test(completes),
        cmocka_unit_test(help_that_did_not_come_out_is_a_failure),
        cmocka_unit_test(settings_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
