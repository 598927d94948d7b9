/* main.c: the program. All it does is in the table of commands (command.h). */
#include "command.h"

int main(int argc, char **argv)
{
    return command_main(argc, argv, stdout, stderr);
}
