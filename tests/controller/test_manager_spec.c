/* The container of a manager: what it may do, by what it is recognised, which secrets it gets. */
#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/manager_image.h"
#include "controller/manager_spec.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"

#define ADDRESS "10.0.0.1"
#define SOCKET  "/var/run/docker.sock"

static const struct hms_manager_image image = {"hms:1", "sha256:12"};

static struct hms_manager_settings settings(void)
{
    return (struct hms_manager_settings){
        .broker = "amqps://b", .heartbeat_ms = 1000, .aggregation_ms = 100};
}

static int has_word(const json_t *list, const char *word)
{
    json_t *each;
    size_t i;

    json_array_foreach((json_t *)list, i, each)
    {
        if (strcmp(json_string_value(each), word) == 0)
            return 1;
    }
    return 0;
}

static void it_has_what_it_needs(void **state)
{
    struct hms_manager_settings wanted = settings();
    const json_t *command, *host, *mount;
    json_t *spec;

    (void)state;
    wanted.password = "p";
    wanted.ca_file = "/ca";
    spec = hms_manager_spec_make(&wanted, &image, ADDRESS, SOCKET, 0);
    command = json_object_get(spec, "Cmd");
    assert_string_equal(json_string_value(json_array_get(command, 0)), "manager");
    assert_true(has_word(command, "--address=" ADDRESS));
    assert_true(has_word(command, "--docker=unix:///run/engine/docker.sock"));
    assert_true(has_word(command, "--broker=amqps://b"));
    assert_true(has_word(command, "--broker-password-file=/etc/hms/broker-password"));
    assert_true(has_word(command, "--broker-ca=/etc/hms/broker-ca.pem"));
    assert_false(has_word(command, "--broker-key=/etc/hms/broker-key.pem"));
    host = json_object_get(spec, "HostConfig");
    assert_true(has_word(json_object_get(host, "CapDrop"), "ALL"));
    assert_int_equal(json_array_size(json_object_get(host, "CapAdd")), 1);
    assert_true(hms_json_bool(host, "ReadonlyRootfs", 0));
    mount = json_array_get(json_object_get(host, "Mounts"), 0);
    assert_string_equal(hms_json_string(mount, "Source"), "/var/run");
    assert_true(hms_json_bool(mount, "ReadOnly", 0));
    assert_null(json_object_get(host, "UsernsMode"));
    json_decref(spec);
    spec = hms_manager_spec_make(&wanted, &image, ADDRESS, SOCKET, 1);
    host = json_object_get(spec, "HostConfig");
    assert_string_equal(hms_json_string(host, "UsernsMode"), "host");
    assert_true(has_word(json_object_get(host, "CapAdd"), "DAC_OVERRIDE"));
    json_decref(spec);
}

/* As `inspect` would tell a container made from the specification. */
static json_t *inspected(const json_t *spec)
{
    return json_pack("{s:{s:O, s:O}}", "Config", "Labels", json_object_get(spec, "Labels"), "Cmd",
                     json_object_get(spec, "Cmd"));
}

static void it_is_recognised(void **state)
{
    struct hms_manager_settings wanted = settings(), other = settings();
    json_t *spec = hms_manager_spec_make(&wanted, &image, ADDRESS, SOCKET, 0);
    json_t *same = hms_manager_spec_make(&wanted, &image, ADDRESS, SOCKET, 0);
    json_t *differing, *container = inspected(spec), *foreign = json_object();

    (void)state;
    other.heartbeat_ms++;
    differing = hms_manager_spec_make(&other, &image, ADDRESS, SOCKET, 0);
    assert_true(hms_manager_spec_is_ours(container));
    assert_true(hms_manager_spec_fits(same, container));
    assert_false(hms_manager_spec_fits(differing, container));
    assert_false(hms_manager_spec_is_ours(foreign));
    assert_false(hms_manager_spec_fits(spec, foreign));
    assert_string_equal(hms_manager_spec_option(container, "address"), ADDRESS);
    assert_string_equal(hms_manager_spec_option(container, "broker"), wanted.broker);
    assert_null(hms_manager_spec_option(container, "addres"));
    assert_null(hms_manager_spec_option(foreign, "address"));
    json_decref(spec);
    json_decref(same);
    json_decref(differing);
    json_decref(container);
    json_decref(foreign);
}

/* Name and text of each file of the archive, one a line. */
static void list_archive(const struct hms_buffer *tar, char *text, size_t text_size)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    char data[64];
    size_t used = 0;

    archive_read_support_format_tar(archive);
    assert_int_equal(archive_read_open_memory(archive, tar->data, tar->size_bytes), ARCHIVE_OK);
    *text = '\0';
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        la_ssize_t size = archive_read_data(archive, data, sizeof(data));

        used += (size_t)snprintf(text + used, text_size - used, "%s %o %.*s\n",
                                 archive_entry_pathname(entry), archive_entry_perm(entry),
                                 (int)size, data);
    }
    archive_read_free(archive);
}

static void secrets_become_files(void **state)
{
    struct hms_manager_settings wanted = settings();
    char path[] = "/tmp/hms-test-secret-XXXXXX";
    struct hms_buffer tar;
    char error[256], text[512];
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "PEM", 3), 3);
    close(fd);
    wanted.password = "from the environment";
    wanted.ca_file = path;
    hms_buffer_init(&tar, 65536);
    assert_int_equal(hms_manager_secrets(&wanted, &tar, error, sizeof(error)), HMS_OK);
    list_archive(&tar, text, sizeof(text));
    assert_string_equal(text, "broker-password 600 from the environment\nbroker-ca.pem 600 PEM\n");
    hms_buffer_clear(&tar);
    wanted.password_file = path;
    wanted.ca_file = NULL;
    assert_int_equal(hms_manager_secrets(&wanted, &tar, error, sizeof(error)), HMS_OK);
    list_archive(&tar, text, sizeof(text));
    assert_string_equal(text, "broker-password 600 PEM\n");
    unlink(path);
    assert_int_equal(hms_manager_secrets(&wanted, &tar, error, sizeof(error)), HMS_EIO);
    assert_non_null(strstr(error, "--broker-password-file"));
    hms_buffer_free(&tar);
}

/* An archive as `docker save` writes it, with that manifest; other files come before it. */
static void write_archive(const char *path, const char *manifest)
{
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    const char *names[] = {"0.json", "manifest.json"};
    const char *texts[] = {"{}", manifest};
    size_t i;

    archive_write_set_format_ustar(archive);
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    for (i = 0; i < 2; i++) {
        archive_entry_clear(entry);
        archive_entry_set_pathname(entry, names[i]);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_size(entry, (la_int64_t)strlen(texts[i]));
        archive_write_header(archive, entry);
        archive_write_data(archive, texts[i], strlen(texts[i]));
    }
    archive_entry_free(entry);
    archive_write_free(archive);
}

static void the_archive_names_its_image(void **state)
{
#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    static const struct {
        const char *manifest;
        int error;
    } table[] = {
        {"[{\"Config\":\"" DIGEST ".json\",\"RepoTags\":[\"hms:1\"]}]", HMS_OK},
        {"[{\"Config\":\"blobs/sha256/" DIGEST "\",\"RepoTags\":[\"hms:1\",\"x\"]}]", HMS_OK},
        {"[{\"Config\":\"0123.json\",\"RepoTags\":[\"hms:1\"]}]", HMS_EPROTO},
        {"[{\"Config\":\"" DIGEST ".json\",\"RepoTags\":[]}]", HMS_EPROTO},
        {"[]", HMS_EPROTO},
        {"no JSON", HMS_EPROTO},
        {"", HMS_EPROTO},
    };
    char path[] = "/tmp/hms-test-image-XXXXXX";
    struct hms_manager_image found;
    char error[256];
    size_t i;

    (void)state;
    close(mkstemp(path));
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        print_message("%s\n", table[i].manifest);
        write_archive(path, table[i].manifest);
        assert_int_equal(hms_manager_image_read(&found, path, error, sizeof(error)),
                         table[i].error);
        if (table[i].error == HMS_OK) {
            assert_string_equal(found.name, "hms:1");
            assert_string_equal(found.id, "sha256:" DIGEST);
            hms_manager_image_clear(&found);
        }
    }
    unlink(path);
    assert_int_equal(hms_manager_image_read(&found, path, error, sizeof(error)), HMS_EIO);
    assert_non_null(strstr(error, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_what_it_needs),
        cmocka_unit_test(it_is_recognised),
        cmocka_unit_test(secrets_become_files),
        cmocka_unit_test(the_archive_names_its_image),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
