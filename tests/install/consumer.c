/* SPDX-License-Identifier: MIT */
/* The installed libdsv3 rounds numbers to E4M3, and refuses an op that it has not. */
#include <dsv3.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  const float numbers[] = {1.0f, -2.0f, 0.0625f, 1000.0f};
  const unsigned char expected[] = {0x38, 0xC0, 0x18, 0x7E};
  const int64_t shape[] = {1, 4};
  const dsv3_tensor x = {"x", DSV3_F32, 2, shape, numbers, sizeof numbers};
  dsv3_tensors* outputs;
  dsv3_error error;
  if (dsv3_run("cast", &x, 1, NULL, &outputs, &error) != DSV3_OK) {
    puts(error.text);
    return 1;
  }
  if (outputs->items[0].bytes != 4 || memcmp(outputs->items[0].data, expected, 4) != 0) {
    puts("cast of the installed library is wrong");
    return 1;
  }
  dsv3_free_tensors(outputs);
  if (dsv3_run("kast", &x, 1, NULL, &outputs, &error) != DSV3_BAD_ARGUMENT) return 1;
  printf("dsv3 %s; a wrong op says: %s\n", dsv3_version(), error.text);
  return 0;
}
