/* SPDX-License-Identifier: MIT */
/* Every function of dsv3.h from C11: the bits and words of the command line, and a clear no to whatever cannot be. */
#include <dsv3.h>
#include <limits.h>
#include <stdint.h>
#include <unistd.h>

#include "program.h"

static int failures = 0;

#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) {                                               \
      ++failures;                                                     \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                 \
  } while (0)

static void check_same(const char* a, const char* b, int line) {
  if (strcmp(a, b) == 0) return;
  ++failures;
  fprintf(stderr, "%s:%d: the library says\n%s\nbut should say\n%s\n", __FILE__, line, a, b);
}
#define CHECK_SAME(a, b) check_same(a, b, __LINE__)

static float numbers[4 * 256];
static const int64_t shape[] = {4, 256};

/* `text` is what the command line prints for `arguments`. */
static void check_says(const char* text, const char* arguments, int line) {
  char* const theirs = said(arguments);
  check_same(text, theirs, line);
  free(theirs);
}
#define CHECK_SAYS(text, arguments) check_says(text, arguments, __LINE__)

/* The command line refuses `arguments` with the same words; it puts its own name before them. */
static void check_refused_alike(const char* text, const char* arguments, int line) {
  char expected[sizeof(dsv3_error) + 32];
  snprintf(expected, sizeof expected, "dsv3 oracle: %s\n", strncmp(text, "oracle: ", 8) == 0 ? text + 8 : text);
  check_says(expected, arguments, line);
}
#define CHECK_REFUSED_ALIKE(text, arguments) check_refused_alike(text, arguments, __LINE__)

static dsv3_tensor x_of(const void* data) {
  const dsv3_tensor x = {"x", DSV3_F32, 2, shape, data, sizeof numbers};
  return x;
}

static void test_registry(void) {
  dsv3_report* report = NULL;
  dsv3_error error;
  int64_t i;
  CHECK_SAME(dsv3_version(), DSV3_EXPECTED_VERSION);
  CHECK(dsv3_op_count() >= 5);
  CHECK(dsv3_op_name(-1) == NULL && dsv3_op_name(dsv3_op_count()) == NULL && dsv3_op_name(INT64_MAX) == NULL);
  for (i = 0; i < dsv3_op_count(); ++i) {
    char arguments[256];
    CHECK(dsv3_describe(dsv3_op_name(i), &report, &error) == DSV3_OK);
    CHECK_SAME(error.text, "");
    CHECK(report->outcome == 0);
    snprintf(arguments, sizeof arguments, "describe %s", dsv3_op_name(i));
    CHECK_SAYS(report->text, arguments);
    CHECK(report->json[0] == '{' && strstr(report->json, dsv3_op_name(i)) != NULL);
    dsv3_free_report(report);
  }
}

/* gen, run, check and find give the bits and the words of the same calls of the command line. */
static void test_same_as_program(void) {
  dsv3_tensors *inputs = NULL, *ours = NULL, *others = NULL;
  dsv3_report* report = NULL;
  dsv3_error error;
  int64_t i;
  free(said("gen quantise --kind groups --seed 7 --set M=9 --set dialect=deepep_kernel -o case.safetensors"));
  free(said("run quantise case.safetensors -o ours.safetensors"));
  free(said("run quantise case.safetensors --set rounding=toward_zero -o others.safetensors"));
  CHECK(dsv3_gen("quantise", "groups", 7, "{\"M\": 9, \"dialect\": \"deepep_kernel\"}", &inputs, &error) == DSV3_OK);
  CHECK(inputs->count == 1 && inputs->items[0].rank == 2 && inputs->items[0].shape[0] == 9);
  CHECK(strstr(inputs->attributes, "\"dialect\":\"deepep_kernel\"") != NULL);
  CHECK(file_has("case.safetensors", "x", inputs->items[0].data, inputs->items[0].bytes));

  CHECK(dsv3_run("quantise", inputs->items, 1, inputs->attributes, &ours, &error) == DSV3_OK);
  CHECK(ours->count == 2);
  CHECK_SAME(ours->items[0].name, "q");
  CHECK_SAME(ours->attributes, inputs->attributes);
  CHECK(ours->items[0].dtype == DSV3_F8_E4M3 && ours->items[1].dtype == DSV3_F32);
  for (i = 0; i < ours->count; ++i)
    CHECK(file_has("ours.safetensors", ours->items[i].name, ours->items[i].data, ours->items[i].bytes));

  CHECK(dsv3_check("quantise", inputs->items, 1, inputs->attributes, ours->items, 2, &report, &error) == DSV3_OK);
  CHECK(report->outcome == DSV3_BITS);
  CHECK_SAYS(report->text, "check quantise case.safetensors ours.safetensors");
  dsv3_free_report(report);

  CHECK(dsv3_run("quantise", inputs->items, 1, "{\"dialect\": \"deepep_kernel\", \"rounding\": \"toward_zero\"}",
                 &others, &error) == DSV3_OK);
  CHECK(dsv3_check("quantise", inputs->items, 1, inputs->attributes, others->items, 2, &report, &error) == DSV3_OK);
  CHECK(report->outcome == DSV3_OUTSIDE);
  CHECK_SAYS(report->text, "check quantise case.safetensors others.safetensors");
  dsv3_free_report(report);
  CHECK(dsv3_find("quantise", inputs->items, 1, inputs->attributes, others->items, 2, &report, &error) == DSV3_OK);
  CHECK(report->outcome == 1);
  CHECK_SAYS(report->text, "find quantise case.safetensors others.safetensors");
  dsv3_free_report(report);
  dsv3_free_tensors(others);

  ((unsigned char*)(uintptr_t)ours->items[0].data)[5] ^= 1;
  CHECK(dsv3_find("quantise", inputs->items, 1, inputs->attributes, ours->items, 2, &report, &error) == DSV3_OK);
  CHECK(report->outcome == 0 && strstr(report->json, "\"found\":false") != NULL);
  dsv3_free_report(report);
  dsv3_free_tensors(ours);
  dsv3_free_tensors(inputs);
}

/* Same outputs from memory that is aligned for nothing. */
static void test_unaligned(void) {
  static char shifted[sizeof numbers + 1];
  dsv3_tensors *aligned = NULL, *unaligned = NULL;
  dsv3_error error;
  const dsv3_tensor x = x_of(numbers), y = x_of(shifted + 1);
  int64_t i;
  memcpy(shifted + 1, numbers, sizeof numbers);
  CHECK(dsv3_run("quantise", &x, 1, NULL, &aligned, &error) == DSV3_OK);
  CHECK(dsv3_run("quantise", &y, 1, NULL, &unaligned, &error) == DSV3_OK);
  for (i = 0; i < 2; ++i)
    CHECK(memcmp(aligned->items[i].data, unaligned->items[i].data, (size_t)aligned->items[i].bytes) == 0);
  dsv3_free_tensors(aligned);
  dsv3_free_tensors(unaligned);
}

/* run of `op` on `inputs` is refused with `message`, and leaves NULL. */
static void check_refused(const char* op, const dsv3_tensor* inputs, int64_t count, const char* attributes,
                          const char* message, int line) {
  dsv3_tensors* outputs = (dsv3_tensors*)(uintptr_t)1;
  dsv3_error error;
  const int status = dsv3_run(op, inputs, count, attributes, &outputs, &error);
  check_same(error.text, message, line);
  CHECK(status == DSV3_BAD_ARGUMENT);
  CHECK(outputs == NULL);
  CHECK(dsv3_run(op, inputs, count, attributes, &outputs, NULL) == DSV3_BAD_ARGUMENT);
}
#define REFUSED(op, inputs, count, attributes, message) check_refused(op, inputs, count, attributes, message, __LINE__)

static void test_bad_tensors(void) {
  const int64_t negative[] = {4, -256}, huge[] = {INT64_MAX, INT64_MAX}, hidden[] = {0, INT64_MAX},
                nine[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  dsv3_tensor x = x_of(numbers), two[2];
  two[0] = two[1] = x;
  REFUSED("quantise", NULL, 1, NULL, "oracle quantise: the tensors are NULL; there should be 1");
  REFUSED("quantise", &x, -1, NULL, "oracle quantise: there are -1 tensors; a number from 0 on is needed");
  REFUSED("quantise", NULL, 0, NULL, "oracle quantise: x is missing; it needs x [M, K] of F32 or BF16 or F16");
  REFUSED("quantise", two, 2, NULL, "oracle quantise: \"x\" is given twice");
  two[1].name = "y";
  REFUSED("quantise", two, 2, NULL, "oracle quantise: there is no input \"y\"; it has x");
  x.name = NULL;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: a tensor has no name");
  x = x_of(numbers), x.dtype = DSV3_F8_E4M3, x.bytes /= 4;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: x: is F8_E4M3; it must be F32 or BF16 or F16");
  x.dtype = 10;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: \"x\": has the type 10; it must be from 0 (F64) to 9 (BOOL)");
  x = x_of(numbers), x.rank = -1;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: \"x\": has the rank -1; it must be from 0 to 8");
  x.rank = 9, x.shape = nine, x.bytes = 4;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: \"x\": has the rank 9; it must be from 0 to 8");
  x.rank = 3;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: x: is [1, 1, 1]; it must be [M, K], 2 dimensions");
  x.rank = 0;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: x: is []; it must be [M, K], 2 dimensions");
  x = x_of(numbers), x.shape = NULL;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: \"x\": has no shape; 2 sizes are needed");
  x = x_of(numbers), x.shape = negative;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: \"x\": has the shape [4, -256]; sizes must be at least 0");
  x.shape = huge;
  REFUSED("quantise", &x, 1, NULL,
          "oracle quantise: \"x\": has the shape [9223372036854775807, 9223372036854775807]; at most 2^31 elements are "
          "taken, where a size of 0 counts as 1");
  x.shape = hidden, x.bytes = 0;
  REFUSED(
      "quantise", &x, 1, NULL,
      "oracle quantise: \"x\": has the shape [0, 9223372036854775807]; at most 2^31 elements are taken, where a size "
      "of 0 counts as 1");
  x = x_of(numbers), x.bytes -= 1;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: \"x\": has 4095 bytes; [4, 256] of F32 needs 4096");
  x.bytes = -4096;
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: \"x\": has -4096 bytes; [4, 256] of F32 needs 4096");
  x = x_of(NULL);
  REFUSED("quantise", &x, 1, NULL, "oracle quantise: \"x\": has no data; 4096 bytes are needed");
}

static void test_bad_words(void) {
  const dsv3_tensor x = x_of(numbers);
  char too_long[4096];
  dsv3_tensors* outputs = NULL;
  dsv3_error error;
  REFUSED(NULL, &x, 1, NULL, "oracle: the op is NULL; a text is needed");
  CHECK(dsv3_run("quantize", &x, 1, NULL, &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK_REFUSED_ALIKE(error.text, "describe quantize");
  CHECK(dsv3_run("quantise", &x, 1, "{\"dialect\": \"mine\"}", &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK_REFUSED_ALIKE(error.text, "run quantise case.safetensors --set dialect=mine -o none");
  CHECK(dsv3_run("quantise", &x, 1, "{\"group_rows\": 0}", &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK_REFUSED_ALIKE(error.text, "run quantise case.safetensors --set group_rows=0 -o none");
  CHECK(dsv3_run("quantise", &x, 1, "{\"groups\": 0}", &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK_REFUSED_ALIKE(error.text, "run quantise case.safetensors --set groups=0 -o none");
  CHECK(dsv3_gen("quantise", "odd", 1, NULL, &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK_REFUSED_ALIKE(error.text, "gen quantise --kind odd -o none");
  CHECK(dsv3_gen("quantise", NULL, 1, "{\"Q\": 3}", &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK_REFUSED_ALIKE(error.text, "gen quantise --set Q=3 -o none");
  CHECK(dsv3_gen("quantise", NULL, 1, "{\"M\": \"x\"}", &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK_REFUSED_ALIKE(error.text, "gen quantise --set M=x -o none");
  CHECK(dsv3_gen("quantise", NULL, 1, "{\"M\": -3}", &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK_REFUSED_ALIKE(error.text, "gen quantise --set M=-3 -o none");

  REFUSED("quantise", &x, 1, "[]", "oracle quantise: attributes are of type array; an object is needed");
  REFUSED("quantise", &x, 1, "{\"dialect\": null}",
          "oracle quantise: \"dialect\" is of type null; a number, a text, true or false is needed");
  REFUSED("quantise", &x, 1, "{\"M\": 1, \"M\": 1}", "oracle quantise: the key \"M\" appears twice");
  for (int i = 0; i < 4; ++i) {
    const char* const not_json[] = {"", "{", "{\"group_rows\": NaN}", "{\"group_rows\": 1e999}"};
    CHECK(dsv3_run("quantise", &x, 1, not_json[i], &outputs, &error) == DSV3_BAD_ARGUMENT);
    CHECK(strncmp(error.text, "oracle quantise: not JSON: ", 27) == 0);
  }
  memset(too_long, 'a', sizeof too_long);
  memcpy(too_long, "{\"dialect\": \"", 13);
  memcpy(too_long + sizeof too_long - 3, "\"}", 3);
  CHECK(dsv3_run("quantise", &x, 1, too_long, &outputs, &error) == DSV3_BAD_ARGUMENT);
  CHECK(strlen(error.text) < sizeof error.text);
}

static void test_bad_calls(void) {
  const dsv3_tensor x = x_of(numbers);
  dsv3_report* report = NULL;
  dsv3_error error;
  CHECK(dsv3_run("quantise", &x, 1, NULL, NULL, &error) == DSV3_BAD_ARGUMENT);
  CHECK_SAME(error.text, "oracle: there is no place for the result; it is NULL");
  CHECK(dsv3_gen("quantise", NULL, 1, NULL, NULL, NULL) == DSV3_BAD_ARGUMENT);
  CHECK(dsv3_describe(NULL, &report, &error) == DSV3_BAD_ARGUMENT && report == NULL);
  CHECK(dsv3_check("quantise", &x, 1, NULL, &x, 1, &report, &error) == DSV3_BAD_ARGUMENT);
  CHECK_SAME(error.text, "oracle quantise: there is no output \"x\"");
  CHECK(dsv3_find("quantise", &x, 1, NULL, NULL, 2, &report, &error) == DSV3_BAD_ARGUMENT);
  CHECK_SAME(error.text, "oracle quantise: the tensors are NULL; there should be 2");
  CHECK(dsv3_check("quantise", &x, 1, NULL, NULL, 0, &report, &error) == DSV3_OK);
  CHECK(report->outcome == DSV3_OUTSIDE);
  CHECK_SAME(strchr(report->text, '\n') + 1, "q: OUTSIDE\n  q is missing\ns: OUTSIDE\n  s is missing\n");
  dsv3_free_report(report);
  dsv3_free_report(NULL);
  dsv3_free_tensors(NULL);
}

/* Attributes that nobody gave are named in the words of the command line, with the defaults that they have. */
static void test_assumed(void) {
  const dsv3_tensor x = x_of(numbers);
  dsv3_tensors* ours = NULL;
  dsv3_report* report = NULL;
  dsv3_error error;
  const char* const remark =
      "attributes that the case does not name have their defaults: format=e4m3, group_rows=1, group_cols=128, "
      "scale=fp32, rounding=nearest_even\n";
  const char* const given = "{\"dialect\": \"deepep_kernel\"}";
  CHECK(dsv3_run("quantise", &x, 1, given, &ours, &error) == DSV3_OK);
  CHECK(strstr(ours->attributes, "\"group_cols\":128") != NULL);
  CHECK(dsv3_check("quantise", &x, 1, given, ours->items, ours->count, &report, &error) == DSV3_OK);
  CHECK(report->outcome == DSV3_BITS && strncmp(report->text, remark, strlen(remark)) == 0);
  CHECK(strstr(report->json, "\"remarks\":[\"attributes that the case does not name") != NULL);
  dsv3_free_report(report);
  CHECK(dsv3_find("quantise", &x, 1, given, ours->items, ours->count, &report, &error) == DSV3_OK);
  CHECK(report->outcome == 1 && strncmp(report->text, remark, strlen(remark)) == 0);
  dsv3_free_report(report);
  dsv3_free_tensors(ours);
}

/* What run would refuse gen refuses, in its words; and what needs too much memory. */
static void test_bad_cases(void) {
  const char* const calls[][3] = {{"gate", "{\"K_r\": 64}", "--set K_r=64"},
                                  {"rope", "{\"W\": 3}", "--set W=3"},
                                  {"model", "{\"T\": 0}", "--set T=0"},
                                  {"adamw", "{\"beta1\": 1}", "--set beta1=1"},
                                  {"linear", "{\"T\": 1048576, \"N\": 1048576}", "--set T=1048576 N=1048576"},
                                  {"linear", "{\"T\": 2147483648, \"K\": 0}", "--set T=2147483648 K=0"}};
  size_t i;
  for (i = 0; i < sizeof calls / sizeof *calls; ++i) {
    char arguments[256];
    dsv3_tensors* inputs = NULL;
    dsv3_error error;
    CHECK(dsv3_gen(calls[i][0], NULL, 1, calls[i][1], &inputs, &error) == DSV3_BAD_ARGUMENT && inputs == NULL);
    snprintf(arguments, sizeof arguments, "gen %s %s -o none", calls[i][0], calls[i][2]);
    CHECK_REFUSED_ALIKE(error.text, arguments);
  }
}

/* No element is a number too, and needs no memory. Nothing is said to agree then. */
static void test_empty(void) {
  const int64_t none[] = {0, 256};
  const dsv3_tensor x = {"x", DSV3_F32, 2, none, NULL, 0};
  dsv3_tensors* outputs = NULL;
  dsv3_report* report = NULL;
  dsv3_error error;
  CHECK(dsv3_run("quantise", &x, 1, NULL, &outputs, &error) == DSV3_OK);
  CHECK(outputs->items[0].bytes == 0 && outputs->items[0].shape[0] == 0 && outputs->items[1].shape[1] == 2);
  CHECK(dsv3_check("quantise", &x, 1, outputs->attributes, outputs->items, 2, &report, &error) == DSV3_OK);
  CHECK(report->outcome == DSV3_NOTHING);
  CHECK_SAME(report->text,
             "q: nothing to compare, it has no elements\ns: nothing to compare, it has no elements\n"
             "nothing was compared: no output has an element\n");
  dsv3_free_report(report);
  CHECK(dsv3_find("quantise", &x, 1, outputs->attributes, outputs->items, 2, &report, &error) == DSV3_OK);
  CHECK(report->outcome == 0);
  CHECK_SAME(report->text, "nothing was compared: no output has an element\n");
  dsv3_free_report(report);
  dsv3_free_tensors(outputs);
}

int main(int argc, char** argv) {
  size_t i;
  if (argc != 2 || chdir(argv[1]) != 0) {
    fprintf(stderr, "usage: %s SCRATCH_FOLDER\n", argv[0]);
    return 2;
  }
  for (i = 0; i < sizeof numbers / sizeof *numbers; ++i) numbers[i] = (float)i - 500.25f;
  test_registry();
  test_same_as_program();
  test_unaligned();
  test_bad_tensors();
  test_bad_words();
  test_bad_calls();
  test_bad_cases();
  test_assumed();
  test_empty();
  if (failures == 0) puts("dsv3.h: all checks passed");
  return failures == 0 ? 0 : 1;
}
